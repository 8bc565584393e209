"""Stages over HTTP: a model with a contract inside a run, and flows made of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from contracts import ENDED, JsonObject
from tests.support.api import Api
from tests.support.definitions import end, workflow
from tests.support.polling import until
from tests.support.responses_server import ResponsesServer, responses_server, says
from tests.support.serving import Given, Served, serving

PRICED = {
    "type": "object",
    "properties": {"price": {"type": "integer"}},
    "required": ["price"],
    "additionalProperties": False,
}
QUOTE: JsonObject = {
    "name": "quote",
    "instructions": "Quote a price for ${input.item}.",
    "output_schema": PRICED,
    "knowledge": ["prices"],
}
PRICES: JsonObject = {"name": "prices", "content": {"lamp": {"price": 7}}}
RULES: list[JsonObject] = [
    {"id": "allow-all", "when": "true", "then": "allow"},
    {
        "id": "ask-above-1000",
        "when": "decision.action == 'tool.call' && "
        "decision.args.?input.?amount.orValue(0) > 1000",
        "then": "ask",
        "ask": {"approvers": ["role:approver"]},
    },
    {
        "id": "no-thirteen",
        "when": "decision.action == 'tool.call' && "
        "decision.args.?input.?amount.orValue(0) == 13",
        "then": "deny",
        "message": "Thirteen is not paid.",
    },
]


START: JsonObject = {"id": "start", "type": "workflow_start"}


class House(NamedTuple):
    served: Served
    api: Api
    provider: ResponsesServer

    async def events(self, run: JsonObject, *types: str) -> list[Any]:
        path = f"/runs/{run['id']}/events?limit=200&include_payload=true"
        return [one async for one in self.api.pages(path) if one["type"] in types]

    async def ended(self, run_id: str) -> Any:
        """The run once it has ended."""

        async def has_ended() -> bool:
            return str((await self.api.get(f"/runs/{run_id}"))["status"]) in ENDED

        assert await until(has_ended, within_s=15)
        return await self.api.get(f"/runs/{run_id}")

    async def stage(self, **more: Any) -> None:
        await self.api.post("/stages", {**QUOTE, **more})


def asking(*nodes: JsonObject, edges: str, output: JsonObject) -> JsonObject:
    return workflow("asks", START, *nodes, end(**output), edges=edges)


def node(id_: str = "ask", type_: str = "model", **more: Any) -> JsonObject:
    return {"id": id_, "type": type_, "input": {"item": "${start.item}"}, **more}


@pytest.fixture
async def house(given: Given) -> AsyncIterator[House]:
    async with responses_server() as provider:
        settings = given(llm=provider.settings, gate={"rules": tuple(RULES)})
        async with serving(settings) as served:
            await served.api.post("/knowledge", PRICES)
            yield House(served, served.api, provider)


@pytest.fixture
async def paying(house: House) -> House:
    """A stage whose model may pay."""
    tool = {
        "name": "pay",
        "kind": "builtin",
        "function": "echo",
        "effect": "none",
        "description": "Pays an amount.",
        "input_schema": {
            "type": "object",
            "properties": {"amount": {"type": "integer"}},
            "required": ["amount"],
        },
    }
    await house.api.post("/tools", tool)
    await house.stage(tools=["pay"], output_schema={}, knowledge=[])
    definition = asking(
        node(stage="quote"), edges="start ask, ask end", output={"said": "${ask.text}"}
    )
    await house.api.post("/workflows", definition)
    return house


async def test_a_stage_answers_by_its_contract_with_its_knowledge(house: House) -> None:
    house.provider.will(says('{"price": 7}'))
    await house.stage()
    definition = asking(
        node(stage="quote"),
        edges="start ask, ask end",
        output={"price": "${ask.price}"},
    )
    await house.api.post("/workflows", definition)

    run = await house.api.run("asks", {"item": "lamp"})

    assert (run["status"], run["output"]) == ("completed", {"price": 7})
    assert run["usage"]["tokens"] == 18
    asked = house.provider.asked[0]
    assert asked["instructions"].startswith("Quote a price for lamp.")
    assert '"lamp": {"price": 7}' in asked["instructions"]
    assert asked["text"]["format"]["schema"] == PRICED
    events = await house.events(run, "model_request", "model_response")
    assert [one["type"] for one in events] == ["model_request", "model_response"]
    assert events[1]["payload"]["provider"] == "openai_responses"


async def test_a_breach_fails_the_run_whatever_on_error_says(house: House) -> None:
    house.provider.will(says('{"price": "much"}'))
    await house.stage()
    definition = asking(
        node(stage="quote", on_error="continue"),
        edges="start ask, ask end",
        output={"done": True},
    )
    await house.api.post("/workflows", definition)

    run = await house.api.run("asks", {"item": "lamp"})

    assert (run["status"], run["error"]["code"]) == (
        "failed",
        "stage_validation_failed",
    )
    assert run["error"]["details"]["validation_error_path"] == "/price"


@pytest.mark.parametrize(
    ("second", "status"), [('{"price": 7}', "completed"), ("no", "failed")]
)
async def test_an_answer_may_be_repaired_once(
    house: House, second: str, status: str
) -> None:
    house.provider.will(says("no"), says(second))
    await house.stage(on_invalid="repair_once")
    definition = asking(
        node(stage="quote"), edges="start ask, ask end", output={"p": "${ask.price}"}
    )
    await house.api.post("/workflows", definition)

    run = await house.api.run("asks", {"item": "lamp"})

    assert run["status"] == status
    assert len(house.provider.asked) == 2
    last = house.provider.asked[1]["input"][-1]["content"]
    assert "It is no JSON (" in last
    assert "Answer again" in last


async def test_a_tool_of_a_stage_is_a_decision_of_its_own(paying: House) -> None:
    paying.provider.will(says("", ("pay", {"amount": 500})), says("Paid."))

    run = await paying.api.run("asks", {"item": "lamp"})

    assert run["output"] == {"said": "Paid."}
    decisions = [one async for one in paying.api.pages("/decisions?limit=200")]
    [call] = [one for one in decisions if one["action"] == "tool.call"]
    assert call["args"]["input"] == {"amount": 500}
    [made] = await paying.events(run, "tool_call")
    assert made["payload"]["decision_id"] == call["id"]
    result = paying.provider.asked[1]["input"][-1]
    assert json.loads(result["output"]) == {
        "state": "succeeded",
        "result": {"amount": 500},
    }


async def test_what_a_rule_refuses_the_model_is_told(paying: House) -> None:
    paying.provider.will(says("", ("pay", {"amount": 13})), says("I may not."))

    run = await paying.api.run("asks", {"item": "lamp"})

    assert run["output"] == {"said": "I may not."}
    assert await paying.events(run, "tool_call") == []
    told = json.loads(paying.provider.asked[1]["input"][-1]["output"])
    assert (told["state"], told["rules"]) == ("refused", ["no-thirteen"])


async def test_what_a_rule_asks_about_waits_for_a_person(paying: House) -> None:
    paying.provider.will(says("", ("pay", {"amount": 5_000})), says("Paid."))

    run = await paying.api.run("asks", {"item": "lamp"})
    assert (run["status"], run["paused_reason"]) == ("paused", "gate")
    assert await paying.events(run, "tool_call") == []
    approver = await paying.served.key("grace", "approver")
    [approval] = (await paying.api.get("/approvals?state=waiting"))["items"]
    await approver.post(f"/approvals/{approval['id']}/grant", {})
    ended = await paying.ended(run["id"])

    assert ended["output"] == {"said": "Paid."}
    assert len(await paying.events(run, "tool_call")) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("pay", {"amount": "much"}), "integer"),
        (("pay", "no json"), "no JSON object"),
        (("steal", {}), "There is no function"),
    ],
)
async def test_a_call_that_breaks_its_schema_reaches_no_gate(
    paying: House, call: tuple[str, Any], words: str
) -> None:
    paying.provider.will(says("", call), says("Sorry."))

    run = await paying.api.run("asks", {"item": "lamp"})

    assert run["output"] == {"said": "Sorry."}
    told = json.loads(paying.provider.asked[1]["input"][-1]["output"])
    assert (told["state"], told["code"]) == ("invalid", "proposal_invalid")
    assert words in told["message"]
    decisions = [one async for one in paying.api.pages("/decisions?limit=200")]
    assert not [one for one in decisions if one["action"] == "tool.call"]


async def test_too_many_calls_at_once_fail_the_node(paying: House) -> None:
    calls = [("pay", {"amount": n}) for n in range(5)]
    paying.provider.will(says("", *calls))

    run = await paying.api.run("asks", {"item": "lamp"})

    assert await paying.events(run, "tool_call") == []
    [error] = await paying.events(run, "model_error")
    assert error["payload"]["error"]["code"] == "too_many_calls"


async def test_a_model_picks_one_of_the_routes(house: House) -> None:
    house.provider.will(says('{"route": "cheap"}'))
    routes = [
        {"name": "dear", "description": "above 100", "to": "high"},
        {"name": "cheap", "to": "low"},
    ]
    nodes = [
        node("pick", "classify", routes=routes),
        {"id": "high", "type": "transform", "output": {"v": "high"}},
        {"id": "low", "type": "transform", "output": {"v": "low"}},
    ]
    definition = asking(
        *nodes,
        edges="start pick, high end, low end",
        output={"route": "${pick.route}"},
    )
    await house.api.post("/workflows", definition)

    run = await house.api.run("asks", {"item": "lamp"})

    assert run["output"] == {"route": "cheap"}
    assert run["steps_state"]["high"]["status"] == "skipped"
    assert "- dear: above 100" in house.provider.asked[0]["instructions"]


async def test_knowledge_is_looked_up_by_path_and_by_words(house: House) -> None:
    nodes = [
        {
            "id": name,
            "type": "retrieve",
            "knowledge": "prices",
            "query": query,
        }
        for name, query in (("a", {"path": "/lamp/price"}), ("b", {"text": "LAMP"}))
    ]
    definition = asking(
        *nodes,
        edges="start a, a b, b end",
        output={"a": "${a.items[0].value}", "b": "${b.count}"},
    )
    await house.api.post("/workflows", definition)

    run = await house.api.run("asks", {"item": "lamp"})

    assert run["output"] == {"a": 7, "b": 1}


async def test_what_a_stage_needs_is_missed_by_name(house: House) -> None:
    await house.stage(knowledge=["gone"], tools=["nothing"])
    definition = asking(
        node(stage="quote"), edges="start ask, ask end", output={"v": 1}
    )

    answer = await house.api.call("POST", "/workflows", definition)

    assert answer.status == 422
    assert {"unknown_tool", "missing_references"} <= answer.codes


async def test_without_a_model_nothing_begins(served: Served) -> None:
    await served.api.post("/stages", {**QUOTE, "knowledge": []})
    definition = asking(
        node(stage="quote"), edges="start ask, ask end", output={"v": 1}
    )
    await served.api.post("/workflows", definition)
    body = {"workflow": "asks", "input": {"item": "lamp"}}

    answer = await served.api.call("POST", "/runs", body)

    assert (answer.status, answer.code) == (503, "model_not_configured")


FLOW: JsonObject = {
    "name": "desk",
    "kind": "agent_flow",
    "nodes": [
        {"id": "start", "type": "start"},
        {
            "id": "sort",
            "type": "stage",
            "stage": "sorting",
            "input": {"message": "${start.message}"},
        },
        {
            "id": "way",
            "type": "route",
            "cases": [{"when": "sort.kind == 'price'", "to": "ask"}],
            "default": "other",
        },
        {
            "id": "ask",
            "type": "stage",
            "stage": "quote",
            "input": {"item": "${sort.item}"},
        },
        {
            "id": "told",
            "type": "answer",
            "output": {
                "assistantReply": "That is ${ask.price}.",
                "cachedState": "${ask}",
            },
        },
        {"id": "other", "type": "answer", "output": {"assistantReply": "Pardon?"}},
    ],
    "edges": [
        {"from": "start", "to": "sort"},
        {"from": "sort", "to": "way"},
        {"from": "ask", "to": "told"},
    ],
}
SORTING: JsonObject = {
    "name": "sorting",
    "instructions": "Sort the message.",
    "output_schema": {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "item": {"type": "string"}},
        "required": ["kind", "item"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def desk(house: House) -> House:
    await house.stage()
    await house.api.post("/stages", SORTING)
    await house.api.post("/flows", FLOW)
    return house


async def test_an_agent_flow_is_run_like_a_workflow(desk: House) -> None:
    desk.provider.will(says('{"kind": "price", "item": "lamp"}'), says('{"price": 7}'))
    body = {
        "action": "workflow.run",
        "args": {"flow": "desk", "input": {"message": "?"}},
    }

    answer = await desk.api.call("POST", "/decisions", body)
    run = await desk.ended(answer.body["outcome"]["result"]["run_id"])

    assert run["output"]["assistantReply"] == "That is 7."
    assert run["workflow"] == "desk"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": "x", "type": "tool", "tool": "pay"}, "node_type_not_allowed"),
        ({"id": "x", "type": "answer", "output": {}}, "invalid"),
    ],
)
async def test_a_flow_has_its_own_kinds_of_nodes(
    desk: House, change: JsonObject, code: str
) -> None:
    flow = {**FLOW, "name": "other", "nodes": [*FLOW["nodes"], change]}

    answer = await desk.api.call("POST", "/flows", flow)

    assert answer.status == 422
    assert code in answer.codes


class Chat(NamedTuple):
    """Ada's conversation with the flow."""

    house: House
    ada: Api
    path: str

    async def say(self, text: str) -> Any:
        return await self.ada.call("POST", f"{self.path}/messages", {"text": text})


@pytest.fixture
async def chat(desk: House) -> Chat:
    ada = await desk.served.key("ada", "operator")
    made = await ada.call("POST", "/conversations", {})
    chat = Chat(desk, ada, f"/conversations/{made.body['id']}")
    bound = await chat.say("/bind desk")
    assert "Done: conversation.bind" in bound.body["reply"]["text"]
    return chat


async def test_a_bound_conversation_is_answered_by_its_flow(chat: Chat) -> None:
    answers = [says('{"kind": "price", "item": "lamp"}'), says('{"price": 7}')]
    chat.house.provider.will(*answers)

    first = await chat.say("What is a lamp?")
    chat.house.provider.will(says('{"kind": "chat", "item": ""}'))
    second = await chat.say("And you?")

    assert first.body["reply"]["text"] == "That is 7."
    assert second.body["reply"]["text"] == "Pardon?"
    assert (await chat.ada.get(f"{chat.path}/cached-state")) == {"price": 7}
    given = json.loads(chat.house.provider.asked[0]["input"][0]["content"])
    assert given == {"message": "What is a lamp?"}
    history = (await chat.ada.get(f"{chat.path}/messages"))["items"]
    assert [one["text"] for one in history][-4:] == [
        "What is a lamp?",
        "That is 7.",
        "And you?",
        "Pardon?",
    ]
    run = (await chat.house.api.get("/runs"))["items"][0]
    whole = await chat.house.api.get(f"/runs/{run['id']}")
    assert whole["input"]["cached_state"] == {"price": 7}
    assert whole["input"]["history"][-1]["text"] == "That is 7."


async def test_a_breach_leaves_the_cached_state_as_it_was(chat: Chat) -> None:
    answers = [says('{"kind": "price", "item": "lamp"}'), says('{"price": 7}')]
    chat.house.provider.will(*answers)
    await chat.say("What is a lamp?")
    chat.house.provider.will(answers[0], says('{"price": "much"}'))

    failed = await chat.say("And now?")

    assert failed.status == 500
    assert failed.code == "stage_validation_failed"
    assert (await chat.ada.get(f"{chat.path}/cached-state")) == {"price": 7}
    history = (await chat.ada.get(f"{chat.path}/messages"))["items"]
    assert "And now?" not in [one["text"] for one in history]


async def test_an_unbound_conversation_thinks_again(chat: Chat) -> None:
    await chat.say("/unbind")
    chat.house.provider.will(says("Just me."))

    answer = await chat.say("Hi")

    assert answer.body["reply"]["text"] == "Just me."


async def test_only_a_flow_that_is_there_can_be_bound(chat: Chat) -> None:
    answer = await chat.say("/bind nothing")

    assert answer.status == 404
    mine = await chat.house.api.get(chat.path)
    assert mine["flow"] == "desk"
