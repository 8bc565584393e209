"""What comes late to a conversation, or cannot come at all, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from agents.conversation.telling import Telling
from agents.coordinator.docket import Docket
from agents.mail import Mail
from contracts import Channel, JsonObject, PermanentError, StoreUnavailable, new_id
from tests.flow.test_conversations import RULES, Chat, chat, greeting, provider
from tests.support.definitions import asking
from tests.support.polling import until
from tests.support.responses_server import Reply, ResponsesServer, says
from tests.support.serving import Given, serving

__all__ = ["chat", "provider"]

ASK_FIRST: JsonObject = {
    "id": "ask-turn",
    "when": "decision.action == 'conversation.turn'",
    "then": "ask",
    "ask": {"approvers": ["role:approver"], "not_self": True},
}


@pytest.fixture
async def asked(given: Given, provider: ResponsesServer) -> AsyncIterator[Chat]:
    async with serving(
        given(llm=provider.settings, gate={"rules": (*RULES, ASK_FIRST)})
    ) as served:
        ada = await served.key("ada", "operator")
        made = await ada.call("POST", "/conversations", {})
        yield Chat(served, ada, made.body["id"], provider)


async def vote(chat: Chat, what: str) -> None:
    """Grace votes on all that waits."""
    grace = await chat.served.key("grace", "approver", "viewer")
    for one in (await grace.get("/approvals?state=waiting"))["items"]:
        await grace.call("POST", f"/approvals/{one['id']}/{what}", {})


async def says_last(chat: Chat, text: str) -> bool:
    """Whether the history comes to end with this, and nothing is waited for."""

    async def holds() -> bool:
        history = await chat.history()
        row = await chat.ada.get(f"/conversations/{chat.id}")
        return bool(history) and text in history[-1][1] and row["waits"] == []

    return await until(holds, within_s=15)


@pytest.mark.parametrize(
    ("what", "text", "calls"),
    [("grant", "Hello.", 1), ("refuse", "Refused by ask-turn", 0)],
)
async def test_a_turn_that_people_were_asked_about_goes_on_or_ends(
    asked: Chat, what: str, text: str, calls: int
) -> None:
    asked.provider.will(says("Hello."))
    first = await asked.say("Hi")

    await vote(asked, what)

    assert first.status == 202
    assert await says_last(asked, text)
    assert len(asked.provider.asked) == calls
    assert (await asked.served.api.get("/approvals?state=waiting"))["items"] == []


async def test_the_end_of_a_run_may_come_before_its_beginning(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, slow = Mail._tell, list[str]()

    async def late_once(mail: Mail, record: Any, kind: str, of: str, body: Any) -> bool:
        if kind == "outcome" and record.decision.action == "workflow.run" and not slow:
            slow.append(of)
            await anyio.sleep(0.5)

        return await tell(mail, record, kind, of, body)

    monkeypatch.setattr(Mail, "_tell", late_once)
    chat.provider.will(greeting("Bob"))
    await chat.say("Greet Bob")
    chat.provider.will(says("Bob was greeted."))

    await vote(chat, "grant")

    assert await says_last(chat, "Bob was greeted.")
    assert slow


async def test_what_a_failed_turn_began_is_heard_of(chat: Chat) -> None:
    await chat.served.api.post("/workflows", asking())
    given = {"workflow": "asking", "input": {"name": "Ada"}}
    quota = Reply([b'{"error": {"code": "insufficient_quota"}}'], 429)
    chat.provider.will(says("", ("run_workflow", given)), quota)

    failed = await chat.say("Ask somebody")
    chat.provider.will(says("It is done."))
    await vote(chat, "grant")

    assert failed.status == 503
    assert await says_last(chat, "It is done.")


async def test_a_decision_that_no_bus_takes_fails_its_turn_alone(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in chat.served.services:
        publish = service.bus.publish

        async def picky(envelope: Any, publish: Any = publish) -> None:
            if getattr(envelope.body, "action", "") == "workflow.run":
                raise PermanentError(code="message_too_large")

            await publish(envelope)

        monkeypatch.setattr(service.bus, "publish", picky)

    chat.provider.will(greeting("Ada"))

    failed = await chat.say("Greet Ada")
    helped = await chat.say("/help")

    assert (failed.status, failed.code) == (413, "message_too_large")
    assert helped.status == 200


async def test_a_reply_beyond_all_measure_is_cut(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(*_: Any) -> str:
        return "x" * 262_145

    monkeypatch.setattr(Telling, "of", endless)

    answer = await chat.say("/help")

    text = answer.body["reply"]["text"]
    assert (len(text), text[-1]) == (200_001, "…")


async def test_nobody_speaks_into_a_telegram_chat_over_http(chat: Chat) -> None:
    conversations = chat.served.service.store.conversations
    mine = await conversations.get("default", chat.id)
    assert mine is not None
    update = {
        "id": new_id("cnv"),
        "decision_id": new_id("dec"),
        "channel": Channel(kind="telegram", address="-100777"),
        "lease": None,
    }
    row, _ = await conversations.create(mine.model_copy(update=update))

    path = f"/conversations/{row.id}/messages"
    said = await chat.ada.call("POST", path, {"text": "Hi"})
    made = await chat.ada.call("POST", "/conversations", {"channel": "telegram"})

    assert (said.status, made.status) == (422, 422)
    assert chat.provider.asked == []


async def test_a_turn_hears_of_an_expiry_whose_teller_died(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths, expire = iter([True]), Docket.expire

    async def dies(self: Docket, record: Any) -> None:
        if next(deaths, False):
            raise StoreUnavailable

        await expire(self, record)

    monkeypatch.setattr(Docket, "expire", dies)
    chat.provider.will(greeting("Bob"), says("It expired."))
    await chat.say("Greet Bob")

    chat.served.clock.put_forward(86_500)

    assert await says_last(chat, "It expired.")
    assert next(deaths, None) is None
