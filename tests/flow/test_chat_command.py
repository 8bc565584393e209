"""``sluicegate chat`` as a process of its own, against the running service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import anyio
import pytest

from tests.flow.test_conversations import RULES
from tests.support.checkout import ROOT
from tests.support.definitions import greet
from tests.support.serving import Given, Served, serving


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Terminal(NamedTuple):
    """A shell of Ada's."""

    served: Served
    environment: Mapping[str, str]

    async def __call__(self, *words: str, typed: str = "") -> Ran:
        command = [sys.executable, "-m", "sluicegate", "chat", *words]
        ended = await anyio.run_process(
            command,
            input=typed.encode(),
            cwd=ROOT,
            env=self.environment,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@pytest.fixture
async def terminal(given: Given) -> AsyncIterator[Terminal]:
    script = str(ROOT / "examples" / "conversation.json")
    llm = {"provider": "scripted", "script": script}
    async with serving(given(llm=llm, gate={"rules": tuple(RULES)})) as served:
        await served.api.post("/workflows", greet())
        made = await served.api.post("/keys", {"subject": "ada", "roles": ["operator"]})
        told = {"SLUICEGATE_URL": served.service.url, "SLUICEGATE_KEY": made["key"]}
        yield Terminal(served, {**os.environ, **told, "COLUMNS": "200"})


async def test_one_message_is_answered_with_what_came_of_it(terminal: Terminal) -> None:
    ran = await terminal("-m", "Greet Ada")

    assert ran.code == 0
    assert ran.out.count("This came of it") == 1
    assert '"greeting": "Hello ADA"' in ran.out
    assert "chat cnv_" in ran.err


async def test_lines_from_a_pipe_are_one_conversation(terminal: Terminal) -> None:
    ran = await terminal(typed="Greet Ada\n\n/help\nGreet Eve\n")

    assert ran.code == 0
    assert "/workflows" in ran.out
    assert "Refused by not-eve" in ran.out
    assert "Eve is not to be greeted." in ran.out
    listed = (await terminal.served.api.get("/conversations"))["items"]
    assert [one["turns"] for one in listed] == [3]


async def test_what_waits_for_a_person_exits_as_awaiting(terminal: Terminal) -> None:
    ran = await terminal("-m", "Greet Bob", "--json")

    told = json.loads(ran.out)
    assert ran.code == 4
    assert len(told["reply"]["waits"]) == 1
    assert "Waiting for role:approver" in told["reply"]["reply"]["text"]


async def test_a_conversation_of_another_is_not_there(terminal: Terminal) -> None:
    made = await terminal.served.api.post("/conversations", {})

    ran = await terminal(made["id"], "-m", "Hi")

    assert ran.code == 1
    assert "There is no conversation" in ran.err
