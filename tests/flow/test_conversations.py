"""Conversations over HTTP: judged turns, functions as decisions, waiting, going on."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import anyio
import pytest

from agents.conversation import talk
from agents.conversation.talk import Talk
from agents.mail import Mail
from contracts import InboxItem, JsonObject
from sluicegate.wiring import talker
from tests.support.api import Answer, Api
from tests.support.definitions import asking, greet
from tests.support.polling import until
from tests.support.responses_server import (
    Reply,
    ResponsesServer,
    responses_server,
    says,
)
from tests.support.serving import Given, Served, serving

RULES: list[JsonObject] = [
    {"id": "allow-all", "when": "true", "then": "allow"},
    {
        "id": "not-eve",
        "when": "decision.action == 'workflow.run' && "
        "decision.args.?input.?name.orValue('') == 'Eve'",
        "then": "deny",
        "message": "Eve is not to be greeted.",
    },
    {
        "id": "ask-for-bob",
        "when": "decision.action == 'workflow.run' && "
        "decision.args.?input.?name.orValue('') == 'Bob'",
        "then": "ask",
        "ask": {"approvers": ["role:approver"], "not_self": True},
    },
]


class Chat(NamedTuple):
    """A conversation of Ada's, and the model's provider."""

    served: Served
    ada: Api
    id: str
    provider: ResponsesServer

    async def say(self, text: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/conversations/{self.id}/messages"
        return await self.ada.call("POST", path, {"text": text}, headers=named)

    async def history(self) -> list[tuple[str, str]]:
        told = await self.ada.get(f"/conversations/{self.id}/messages?limit=200")
        return [(one["role"], one["text"]) for one in told["items"]]

    async def log(self) -> list[Any]:
        turns = await self.ada.get(f"/conversations/{self.id}/turns?limit=200")
        return list(turns["items"])


def greeting(name: str) -> Reply:
    """The model wants somebody to be greeted."""
    given = {"workflow": "greet", "input": {"name": name}}
    return says("", ("run_workflow", given))


@pytest.fixture
async def provider() -> AsyncIterator[ResponsesServer]:
    async with responses_server() as server:
        yield server


@pytest.fixture
async def chat(given: Given, provider: ResponsesServer) -> AsyncIterator[Chat]:
    settings = given(llm=provider.settings, gate={"rules": tuple(RULES)})
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())
        ada = await served.key("ada", "operator")
        made = await ada.call("POST", "/conversations", {})
        assert made.status == 201
        yield Chat(served, ada, made.body["id"], provider)
        provider.let_go()


async def test_what_is_said_is_answered_and_remembered(chat: Chat) -> None:
    chat.provider.will(says("Hello, Ada."))
    first = await chat.say("Hi")
    chat.provider.will(says("You said hi."))
    await chat.say("What did I say?")

    assert (first.status, first.body["reply"]["text"]) == (200, "Hello, Ada.")
    asked = chat.provider.asked[1]["input"]
    assert [(one["role"], one["content"]) for one in asked] == [
        ("user", "Hi"),
        ("assistant", "Hello, Ada."),
        ("user", "What did I say?"),
    ]
    assert await chat.history() == [
        ("user", "Hi"),
        ("assistant", "Hello, Ada."),
        ("user", "What did I say?"),
        ("assistant", "You said hi."),
    ]
    [answer] = [one for one in await chat.log() if one["type"] == "model_response"][:1]
    assert answer["payload"]["answer"]["usage"]["input_tokens"] == 11


async def test_a_question_ends_the_turn_and_the_answer_goes_on(chat: Chat) -> None:
    question = {"question": "Whom?", "options": ["Ada", "Bob"]}
    chat.provider.will(says("Gladly.", ("ask_user", question)))
    asked = await chat.say("Greet somebody")
    chat.provider.will(greeting("Ada"), says("Done."))
    answered = await chat.say("Ada")

    assert asked.body["reply"]["text"] == "Gladly.\n\nWhom?\n– Ada\n– Bob"
    assert answered.body["reply"]["text"] == "Done."
    assert chat.provider.asked[1]["input"][1]["content"] == asked.body["reply"]["text"]


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([("ask_user", {})], "question"),
        ([("ask_user", {"question": ""})], "question"),
        ([("ask_user", {"question": "Whom?", "tool": "x"})], "tool"),
        ([("ask_user", {"question": "A?"}), ("ask_user", {"question": "B?"})], "alone"),
    ],
)
async def test_a_question_that_is_none_is_told_to_the_model(
    chat: Chat, calls: list[Any], told: str
) -> None:
    chat.provider.will(says("", *calls), says("Never mind."))

    answer = await chat.say("Greet somebody")

    assert answer.body["reply"]["text"] == "Never mind."
    outputs = [
        json.loads(one["output"])
        for one in chat.provider.asked[1]["input"]
        if one.get("type") == "function_call_output"
    ]
    assert {one["code"] for one in outputs} == {"proposal_invalid"}
    assert told in outputs[0]["message"]


async def test_a_run_that_waits_for_a_person_is_not_waited_for(chat: Chat) -> None:
    await chat.served.api.post("/workflows", asking())
    given = {"workflow": "asking", "input": {"name": "Ada"}}
    chat.provider.will(
        says("", ("run_workflow", given)), says("It waits for a person.")
    )

    began = anyio.current_time()
    answer = await chat.say("Ask somebody")
    took_s = anyio.current_time() - began

    assert answer.body["reply"]["text"].startswith("It waits for a person.")
    outputs = [
        json.loads(one["output"])
        for one in chat.provider.asked[1]["input"]
        if one.get("type") == "function_call_output"
    ]
    assert [one["paused_reason"] for one in outputs] == ["approval"]
    assert took_s < 15, "a turn waits for up to 30 seconds for a run that goes on"


ODD = {
    "deep": '{"workflow": "greet", "input": ' + "[" * 100_000,
    "half": '{"workflow": "greet", "input": {"name": "\\ud800"}}',
    "nan": '{"workflow": "greet", "input": {"n": NaN}}',
    "twice": '{"workflow": "greet", "workflow": "greet", "input": {}}',
}


@pytest.mark.parametrize("odd", ODD)
async def test_arguments_that_are_no_strict_json_are_no_proposal(
    chat: Chat, odd: str
) -> None:
    chat.provider.will(says("", ("run_workflow", ODD[odd])), says("Never mind."))

    answer = await chat.say("Greet somebody")

    assert answer.body["reply"]["text"] == "Never mind."
    assert (await chat.ada.get("/decisions?action=workflow.run"))["items"] == []


async def test_a_function_is_a_decision_and_its_result_goes_back(chat: Chat) -> None:
    chat.provider.will(greeting("Ada"), says("Done."))

    answer = await chat.say("Greet me")

    assert answer.body["reply"]["text"] == "Done."
    [run_id] = answer.body["runs"]
    assert (await chat.ada.get(f"/runs/{run_id}"))["success"]
    [told] = [
        one
        for one in chat.provider.asked[1]["input"]
        if one.get("type") == "function_call_output"
    ]
    assert json.loads(told["output"])["status"] == "completed"
    decisions = await chat.ada.get("/decisions?action=workflow.run")
    [decision] = decisions["items"]
    assert decision["state"] == "done"


async def test_what_a_rule_refuses_is_not_run_and_everybody_hears_of_it(
    chat: Chat,
) -> None:
    chat.provider.will(greeting("Eve"), says("I could not."))

    answer = await chat.say("Greet Eve")

    reply = answer.body["reply"]["text"]
    assert reply.startswith("I could not.")
    assert "Refused by not-eve" in reply
    told = json.dumps(chat.provider.asked[1]["input"])
    assert "not-eve" in told
    assert (await chat.ada.get("/runs"))["items"] == []


async def test_what_waits_is_told_and_goes_on_by_itself(chat: Chat) -> None:
    chat.provider.will(greeting("Bob"))
    asked = await chat.say("Greet Bob")
    chat.provider.will(says("Of course."))
    meanwhile = await chat.say("And meanwhile?")
    chat.provider.will(says("Bob was greeted."))
    grace = await chat.served.key("grace", "approver", "viewer")
    [waiting] = (await grace.get("/approvals?state=waiting"))["items"]
    for _ in range(2):
        await grace.call("POST", f"/approvals/{waiting['id']}/grant", {})

    assert "Waiting for role:approver" in asked.body["reply"]["text"]
    assert meanwhile.body["reply"]["text"] == "Of course."
    assert await until(lambda: _has(chat, ("assistant", "Bob was greeted.")))
    assert len((await chat.ada.get("/runs"))["items"]) == 1
    told = await chat.ada.get(f"/conversations/{chat.id}")
    assert told["waits"] == []


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (
            Reply([b'{"error": {"code": "insufficient_quota"}}'], 429),
            503,
            "model_quota",
        ),
        (says("", type="response.incomplete"), 500, "llm_incomplete"),
        (says("", *[("run_workflow", {})] * 5), 500, "too_many_calls"),
    ],
)
async def test_a_turn_that_fails_says_so_and_saves_nothing(
    chat: Chat, reply: Reply, status: int, code: str
) -> None:
    chat.provider.will(reply)

    answer = await chat.say("Hi")

    assert (answer.status, answer.code) == (status, code)
    assert await chat.history() == []
    assert [one["type"] for one in await chat.log()][-2:] == [
        "model_error",
        "turn_failed",
    ]


async def test_calls_that_break_their_schema_are_told_to_the_model(
    chat: Chat,
) -> None:
    chat.provider.will(says("", ("run_workflow", "{"), ("fly", {})), says("Sorry."))

    answer = await chat.say("Hi")

    assert answer.body["reply"]["text"] == "Sorry."
    told = json.dumps(chat.provider.asked[1]["input"])
    assert told.count("proposal_invalid") == 2
    assert len(answer.body["decisions"]) == 1


async def test_commands_need_no_model_and_are_judged(chat: Chat) -> None:
    listed = await chat.say("/workflows")
    run = await chat.say("/run greet name=Ada")
    lines = await chat.say("/run\ngreet\nname=Bo")
    refused = await chat.say("/run greet name=Eve")
    wrong = await chat.say("/dance")

    assert "greet" in listed.body["reply"]["text"]
    for answer in (run, lines):
        assert answer.body["reply"]["text"].startswith("Started: workflow.run greet.")

    assert (refused.status, refused.body["rule"]) == (403, "not-eve")
    assert "/help" in wrong.body["reply"]["text"]
    assert chat.provider.asked == []


async def test_a_command_does_not_wait_for_a_turn_that_thinks(chat: Chat) -> None:
    chat.provider.will(Reply([b": thinking\n\n"], hangs=True))
    thinking = asyncio.create_task(chat.say("Think"))
    assert await until(lambda: _was_asked(chat))

    helped = await chat.say("/help")

    assert "/run" in helped.body["reply"]["text"]
    thinking.cancel()


async def test_what_is_said_meanwhile_follows_at_once(chat: Chat) -> None:
    chat.provider.will(replace(says("First."), pause_s=0.05), says("Second."))
    async with anyio.create_task_group() as people:
        people.start_soon(chat.say, "One")
        await until(lambda: _is_asked(chat))
        began = time.monotonic()
        second = await chat.say("Two")

    assert second.body["reply"]["text"] == "Second."
    assert time.monotonic() - began < talk._LOOK_AGAIN_S - 1


async def _is_asked(chat: Chat) -> bool:
    return bool(chat.provider.asked)


@pytest.mark.timeout(90)
async def test_what_was_said_long_ago_is_summed_up(chat: Chat) -> None:
    chat.provider.will(says("Yes."))
    for n in range(20):
        await chat.say(f"Message {n}")

    async def is_summed_up() -> bool:
        return "summary_made" in [one["type"] for one in await chat.log()]

    assert await until(is_summed_up)
    chat.provider.will(says("You began with 0."))
    await chat.say("How did I begin?")

    asked = chat.provider.asked[-1]
    summing = [
        one for one in chat.provider.asked if one["instructions"].startswith("Sum up")
    ]
    assert len(summing) == 1
    assert summing[0]["input"][0]["content"].startswith("user: Message 0")
    assert "Yes." not in asked["instructions"]
    assert asked["input"][0]["content"].endswith("for reference only: Yes.]")
    assert len(asked["input"]) == 22
    assert asked["input"][-1]["content"] == "How did I begin?"


async def test_the_same_key_says_it_once(chat: Chat) -> None:
    chat.provider.will(says("Once."))
    first = await chat.say("Hi", Idempotency_Key="k1")
    again = await chat.say("Hi", Idempotency_Key="k1")
    other = await chat.say("Ho", Idempotency_Key="k1")

    assert first.body == again.body
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert len(chat.provider.asked) == 1


async def test_the_same_key_while_the_first_waits_is_in_progress(chat: Chat) -> None:
    chat.provider.will(Reply(hangs=True))
    path = f"/conversations/{chat.id}/messages"
    key = {"Idempotency-Key": "k1"}

    async def said(query: str = "") -> Answer:
        return await chat.ada.call("POST", path + query, {"text": "Hi"}, headers=key)

    async def is_asked() -> bool:
        return bool(chat.provider.asked)

    first = asyncio.create_task(said(), name="first")
    assert await until(is_asked)
    again, unheeded = await said(), await said("?wait=none")
    chat.provider.let_go()

    assert (again.status, again.code) == (409, "request_in_progress")
    assert int(again.headers["Retry-After"]) > 0
    assert unheeded.status == 202
    assert (await first).body["turn_id"] == unheeded.body["turn_id"]


async def test_a_reply_is_streamed_as_it_comes(chat: Chat) -> None:
    chat.provider.will(says("Hello, dear Ada."))

    events = await _streamed(chat, "Hi")

    assert [name for name, _ in events][-2:] == ["reply", "end"]
    words = "".join(data["text"] for name, data in events if name == "delta")
    assert words == "Hello, dear Ada."
    assert events[-2][1]["reply"]["text"] == words


async def test_a_conversation_is_its_owners(chat: Chat) -> None:
    eve = await chat.served.key("eve", "operator")

    assert (await eve.call("GET", f"/conversations/{chat.id}")).status == 404
    said = await eve.call("POST", f"/conversations/{chat.id}/messages", {"text": "Hi"})
    assert said.status == 404
    assert (await eve.get("/conversations"))["items"] == []
    mine = (await chat.ada.get("/conversations"))["items"]
    assert [one["id"] for one in mine] == [chat.id]
    assert (await chat.ada.get(f"/conversations/{chat.id}/cached-state")) == {}


async def test_a_budget_is_never_passed(
    given: Given, provider: ResponsesServer
) -> None:
    tokens = {"scope": "tenant", "meter": "tokens", "window": "day", "limit": 10}
    settings = given(llm=provider.settings).model_copy(update={"budgets": (tokens,)})
    async with serving(settings) as served:
        made = await served.api.post("/conversations", {})
        path = f"/conversations/{made['id']}/messages"
        answer = await served.api.call("POST", path, {"text": "Hi"})

    assert (answer.status, answer.code) == (429, "budget_exceeded")
    assert provider.asked == []


@pytest.mark.timeout(90)
async def test_fifty_turns_at_once_never_pass_a_budget(
    given: Given, provider: ResponsesServer
) -> None:
    provider.will(replace(says("Yes."), pause_s=0.05))
    tokens = {"scope": "tenant", "meter": "tokens", "window": "day", "limit": 10_000}
    settings = given(llm=provider.settings, conversation={"max_output_tokens": 1_000})
    limited = settings.model_copy(update={"budgets": (tokens,)})
    async with serving(limited) as served:
        made = [await served.api.post("/conversations", {}) for _ in range(50)]
        answers: list[Answer] = []

        async def say(id_: str) -> None:
            path = f"/conversations/{id_}/messages"
            answers.append(await served.api.call("POST", path, {"text": "Hi"}))

        async with anyio.create_task_group() as people:
            for one in made:
                people.start_soon(say, one["id"])

    told = Counter((one.status, one.code) for one in answers)
    assert set(told) == {(200, None), (429, "budget_exceeded")}
    assert told[200, None] == len(provider.asked)
    assert provider.most_at_once <= 9, "at most 1,000 tokens and what is asked each"


async def test_without_a_model_a_turn_says_what_is_missing(served: Served) -> None:
    made = await served.api.post("/conversations", {})

    path = f"/conversations/{made['id']}/messages"
    answer = await served.api.call("POST", path, {"text": "Hi"})

    assert (answer.status, answer.code) == (503, "model_not_configured")
    assert "llm.provider" in answer.body["message"]


async def test_a_conversation_goes_on_after_a_restart(
    given: Given, tmp_path: Path
) -> None:
    script = tmp_path / "script.json"
    lines = {"lines": [{"then": {"text": "You said: {said}"}}]}
    script.write_text(json.dumps(lines), encoding="utf-8")
    settings = given(llm={"provider": "scripted", "script": str(script)})
    async with serving(settings) as served:
        made = await served.api.post("/conversations", {})
        path = f"/conversations/{made['id']}/messages"
        await served.api.post(path, {"text": "one"})

    async with serving(settings) as served:
        answer = await served.api.call("POST", path, {"text": "two"})
        told = await served.api.get(path)

    assert answer.body["reply"]["text"] == "You said: two"
    assert [one["n"] for one in told["items"]] == [1, 2, 3, 4]


async def test_an_answer_under_way_at_a_stop_is_not_paid_twice(
    given: Given, provider: ResponsesServer
) -> None:
    settings = given(llm=provider.settings, gate={"rules": tuple(RULES)})
    provider.will(replace(says("Here I am."), pause_s=0.1))

    async def is_asked() -> bool:
        return bool(provider.asked)

    async with serving(settings) as served:
        made = await served.api.post("/conversations", {})
        path = f"/conversations/{made['id']}/messages"
        await served.api.call("POST", f"{path}?wait=none", {"text": "Hi"})
        assert await until(is_asked)

    async def told() -> list[str]:
        items = (await served.api.get(path))["items"]
        return [one["text"] for one in items]

    async def is_answered() -> bool:
        return len(await told()) == 2

    async with serving(settings) as served:
        assert await until(is_answered)
        assert await told() == ["Hi", "Here I am."]

    assert len(provider.asked) == 1


async def test_a_model_that_hangs_at_a_stop_holds_no_conversation(
    given: Given, provider: ResponsesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[str] = []
    settings_of, release = talker._settings, Talk._give_back

    async def given_back(self: Talk) -> None:
        await release(self)
        released.append(self.row.id)

    monkeypatch.setattr(Talk, "_give_back", given_back)
    monkeypatch.setattr(
        talker, "_settings", lambda parts: replace(settings_of(parts), hear_out_s=0.1)
    )
    provider.will(Reply(hangs=True))

    async def is_asked() -> bool:
        return bool(provider.asked)

    async with serving(given(llm=provider.settings)) as served:
        made = await served.api.post("/conversations", {})
        path = f"/conversations/{made['id']}/messages?wait=none"
        await served.api.call("POST", path, {"text": "Hi"})
        assert await until(is_asked)

    assert released == [made["id"]]


async def _has(chat: Chat, line: tuple[str, str]) -> bool:
    return line in await chat.history()


async def _was_asked(chat: Chat) -> bool:
    return bool(chat.provider.asked)


async def _streamed(chat: Chat, text: str) -> list[tuple[str, Any]]:
    url = f"{chat.ada.url}/api/v1/conversations/{chat.id}/messages"
    headers = {**chat.ada._headers(), "Accept": "text/event-stream"}
    events: list[tuple[str, Any]] = []
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"text": text}, headers=headers) as response,
    ):
        assert response.content_type == "text/event-stream"
        name = ""
        async for raw in response.content:
            field, _, value = raw.decode().strip().partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
                if name == "end":
                    break

    return events


async def test_news_that_got_lost_is_looked_up(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay, lost = Mail.lay, set[str]()

    async def lay_the_second_time(
        mail: Mail, tenant: str, conversation_id: str, item: InboxItem, chain: str
    ) -> bool:
        if item.id not in lost:
            lost.add(item.id)
            return False

        return await lay(mail, tenant, conversation_id, item, chain)

    monkeypatch.setattr(Mail, "lay", lay_the_second_time)
    monkeypatch.setattr(talk, "_LOOK_AGAIN_S", 0.05)
    chat.provider.will(greeting("Ada"), says("Ada was greeted."))

    answer = await chat.say("Greet Ada")

    assert answer.body["reply"]["text"] == "Ada was greeted."
    assert {name.partition(":")[0] for name in lost} >= {"verdict", "outcome"}
