"""What bounds a conversation: how long callers wait, streams, texts, cost, its key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agents.conversation import offers, summing
from agents.conversation.minding import Minding
from contracts import LIMITS, StoreUnavailable
from gateways.http import reply_stream
from sluicegate.config import ModelPrice
from tests.flow.test_conversations import (
    RULES,
    Chat,
    _streamed,
    chat,
    greeting,
    provider,
)
from tests.support.definitions import greet
from tests.support.polling import until
from tests.support.responses_server import Reply, ResponsesServer, says
from tests.support.serving import Given, serving

__all__ = ["chat", "provider"]


@pytest.mark.parametrize("wait", ["none", "verdict"])
async def test_who_does_not_wait_is_told_what_to_look_for(
    chat: Chat, wait: str
) -> None:
    chat.provider.will(says("Hello."))
    path = f"/conversations/{chat.id}/messages"

    answer = await chat.ada.call("POST", f"{path}?wait={wait}", {"text": "Hi"})

    assert answer.status == 202
    assert answer.body["state"] == "open"

    async def is_answered() -> bool:
        return ("assistant", "Hello.") in await chat.history()

    assert await until(is_answered)


async def test_a_key_has_so_many_streams(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "sse_streams_per_key", 0)
    path = f"/conversations/{chat.id}/messages"
    headers = {"Accept": "text/event-stream"}

    answer = await chat.ada.call("POST", path, {"text": "Hi"}, headers=headers)

    assert (answer.status, answer.code) == (429, "too_many_streams")
    assert chat.provider.asked == []


async def test_a_stream_whose_store_goes_away_says_so(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(reply_stream, "look", away)
    chat.provider.will(says("Hello."))

    events = await _streamed(chat, "Hi")

    assert [name for name, _ in events][-2:] == ["error", "end"]
    assert events[-2][1]["code"] == "store_unavailable"


async def test_so_many_texts_may_wait_for_an_answer(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "inbox_items", 2)
    chat.provider.will(Reply(hangs=True))
    path = f"/conversations/{chat.id}/messages?wait=none"

    async def is_asked() -> bool:
        return bool(chat.provider.asked)

    answers = [await chat.ada.call("POST", path, {"text": "Hi"})]
    assert await until(is_asked)
    answers += [await chat.ada.call("POST", path, {"text": "Hi"}) for _ in range(3)]

    assert [one.status for one in answers] == [202, 202, 202, 429]
    assert answers[-1].code == "rate_limited"
    assert answers[-1].headers["Retry-After"] == "5"


async def test_a_key_whose_text_found_no_room_names_nothing(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": "k1"}
    path = f"/conversations/{chat.id}/messages?wait=none"
    chat.provider.will(Reply(hangs=True))

    async def is_asked() -> bool:
        return bool(chat.provider.asked)

    await chat.ada.call("POST", path, {"text": "Hi"})
    assert await until(is_asked)
    await chat.ada.call("POST", path, {"text": "This one waits."})
    monkeypatch.setitem(LIMITS, "inbox_items", 1)
    full = await chat.ada.call("POST", path, {"text": "A"}, headers=key)
    monkeypatch.setitem(LIMITS, "inbox_items", 100)

    other = await chat.ada.call("POST", path, {"text": "B"}, headers=key)

    assert (full.status, full.code) == (429, "rate_limited")
    assert other.status == 202, other.body


async def test_a_model_that_is_busy_says_when_to_come_back(chat: Chat) -> None:
    busy = Reply((b'{"error": {}}',), 429, {"Retry-After": "45"})
    chat.provider.will(*[busy] * 9)

    answer = await chat.say("Hi")

    assert (answer.status, answer.code) == (503, "model_unavailable")
    assert answer.headers["Retry-After"] == "45"


async def test_a_turn_may_cost_so_much(given: Given, provider: ResponsesServer) -> None:
    dear = ModelPrice(input_per_million=9e6, output_per_million=9e6)
    llm = {**provider.settings, "prices": {"model-1": dear}}
    settings = given(llm=llm, gate={"rules": tuple(RULES)})
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())
        made = await served.api.post("/conversations", {})
        provider.will(greeting("Ada"), says("Done."))
        path = f"/conversations/{made['id']}/messages"
        answer = await served.api.call("POST", path, {"text": "Greet Ada"})

    assert answer.code == "turn_limit"
    assert len(provider.asked) == 1


async def test_nobody_thinks_for_a_key_that_was_revoked(chat: Chat) -> None:
    chat.provider.will(greeting("Bob"))
    await chat.say("Greet Bob")
    keys = (await chat.served.api.get("/keys"))["items"]
    [mine] = [one for one in keys if one["subject"] == "ada"]
    grace = await chat.served.key("grace", "approver", "viewer")
    [waits] = (await grace.get("/approvals?state=waiting"))["items"]

    await chat.served.api.call("DELETE", f"/keys/{mine['id']}")
    await grace.call("POST", f"/approvals/{waits['id']}/refuse", {})

    async def has_failed() -> bool:
        path = f"/conversations/{chat.id}/turns?limit=200"
        log = (await chat.served.api.get(path))["items"]
        return bool(log[-1]["type"] == "turn_failed")

    assert await until(has_failed)
    assert len(chat.provider.asked) == 1


async def test_an_outage_takes_nothing_of_a_turns_time(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose = Minding._propose

    async def away(self: Minding, turn: Any) -> None:
        await propose(self, turn)
        chat.served.clock.put_forward(180)

    monkeypatch.setattr(Minding, "_propose", away)
    chat.provider.will(greeting("Ada"), says("Ada was greeted."))

    answer = await chat.say("Greet Ada")

    assert answer.status == 200, answer.body
    assert answer.body["reply"]["text"].startswith("Ada was greeted.")


@pytest.mark.timeout(90)
async def test_a_long_past_is_summed_up_piece_by_piece(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summing, "_MOST_CHARS", 40)
    chat.provider.will(says("Yes."))
    for n in range(20):
        await chat.say(f"Message {n}")

    async def summed_up() -> list[int]:
        log = await chat.log()
        made = [one["payload"] for one in log if one["type"] == "summary_made"]
        return [one["upto"] for one in made]

    async def is_begun() -> bool:
        return bool(await summed_up())

    assert await until(is_begun)
    pieces = [
        one["input"][0]["content"]
        for one in chat.provider.asked
        if one["instructions"].startswith("Sum up")
    ]
    assert pieces[0] == "user: Message 0\n\nassistant: Yes."
    assert (await summed_up())[0] == 2


async def test_two_calls_under_one_id_are_no_answer(chat: Chat) -> None:
    given = {"workflow": "greet", "input": {"name": "Ada"}}
    whole = says("", ("run_workflow", given), ("run_workflow", given))
    same = [re.sub(rb"call_\d", b"call_0", piece) for piece in whole.pieces]
    chat.provider.will(Reply(same))

    answer = await chat.say("Greet both")

    assert answer.code == "llm_bad_output"


async def test_a_model_is_told_that_there_is_more(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "_MOST", 1)
    await chat.served.api.post("/workflows", {**greet(), "name": "greet-again"})
    chat.provider.will(says("Hello."))

    await chat.say("Hi")

    [run] = [
        one for one in chat.provider.asked[0]["tools"] if one["name"] == "run_workflow"
    ]
    assert run["description"].endswith("There are more: the person may name one.")
    assert "enum" not in run["parameters"]["properties"]["workflow"]
