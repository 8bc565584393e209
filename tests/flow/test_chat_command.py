"""``chat`` and ``import`` as processes of their own, against the running service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from tests.flow.test_conversations import RULES
from tests.support.checkout import ROOT
from tests.support.definitions import greet
from tests.support.polling import until
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
        """Run ``chat``."""
        return await self.run("chat", *words, typed=typed)

    async def run(self, *words: str, typed: str = "") -> Ran:
        """Run a command."""
        command = [sys.executable, "-m", "sluicegate", *words]
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
    assert ran.out.count("Hello ADA! That is what the workflow said.") == 1
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


MANIFEST = {
    "version": 1,
    "name": "helpdesk",
    "stages": [
        {"id": "sort", "instructions": "Sort it.", "knowledge": ["dictionary"]},
        {
            "id": "Final-answer",
            "instructions_file": "answer.md",
            "depends_on": ["sort"],
            "tools": ["look-up"],
        },
    ],
}
RUNTIME = """\
# Contracts

## sort

```json
{"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}
```

## Final-answer

```json
{"type": "object", "properties": {"assistantReply": {"type": "string"}},
 "required": ["assistantReply"]}
```
"""
LOOK_UP = {
    "type": "function",
    "name": "look-up",
    "description": "Looks something up.",
    "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    "x-kind": "builtin",
    "x-effect": "none",
}


def folder_at(place: Path) -> Path:
    """An agent in the older form."""
    for name, text in (
        ("stage_manifest.json", json.dumps(MANIFEST)),
        ("stage_runtime_contract.md", RUNTIME),
        ("answer.md", "Answer ${input.message} kindly."),
        ("tools/look-up.json", json.dumps({**LOOK_UP, "function": _FUNCTION})),
        ("KnowledgeBase/dictionary.yaml", "lamp: a light\n"),
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")

    return place


_FUNCTION = {name: LOOK_UP[name] for name in ("name", "description", "parameters")}


@pytest.mark.timeout(60)  # three processes start one after the other
async def test_an_agent_of_the_older_form_is_saved_and_answers(
    terminal: Terminal, tmp_path: Path
) -> None:
    folder = str(folder_at(tmp_path / "agent"))
    key = await terminal.served.api.post(
        "/keys", {"subject": "b", "roles": ["builder"]}
    )
    builder = Terminal(
        terminal.served, {**terminal.environment, "SLUICEGATE_KEY": key["key"]}
    )

    first = await builder.run("import", "--agent-contract", folder, "--json")
    again = await builder.run("import", "--agent-contract", folder, "--json")

    names = [
        "tool:look-up",
        "knowledge:dictionary",
        "stage:helpdesk.sort",
        "stage:helpdesk.Final-answer",
        "flow:helpdesk",
    ]
    assert json.loads(first.out) == {
        "flow": "helpdesk",
        "imported": names,
        "changed": [],
        "skipped": [],
    }
    assert json.loads(again.out)["skipped"] == names
    ran = await terminal(typed="/bind helpdesk\n")
    assert "Done: conversation.bind" in ran.out


@pytest.mark.timeout(60)  # two processes start one after the other
async def test_what_is_there_otherwise_is_left_unless_it_is_to_be_replaced(
    terminal: Terminal, tmp_path: Path
) -> None:
    folder = str(folder_at(tmp_path / "agent"))
    tool = {"name": "look-up", "kind": "builtin", "effect": "none"}
    await terminal.served.api.post("/tools", tool)
    key = await terminal.served.api.post(
        "/keys", {"subject": "bea", "roles": ["builder"]}
    )
    builder = Terminal(
        terminal.served, {**terminal.environment, "SLUICEGATE_KEY": key["key"]}
    )
    before = await terminal.served.counts()

    left = await builder.run("import", "--agent-contract", folder)
    after = await terminal.served.counts()
    replaced = await builder.run(
        "import", "--agent-contract", folder, "--replace", "--json"
    )

    assert left.code == 78
    assert "has another tool:look-up; --replace saves" in left.err
    assert after == before
    assert json.loads(replaced.out)["changed"] == ["tool:look-up"]


@pytest.mark.timeout(60)
async def test_what_was_said_between_two_lines_is_shown(terminal: Terminal) -> None:
    served = terminal.served
    grace = await served.key("grace", "approver", "viewer")

    async def has_come() -> bool:
        [talk] = (await served.api.get("/conversations"))["items"]
        return bool(talk["messages"] == 3)

    async def waits() -> bool:
        return bool((await grace.get("/approvals?state=waiting"))["items"])

    command = [sys.executable, "-m", "sluicegate", "chat"]
    async with await anyio.open_process(
        command, cwd=ROOT, env=terminal.environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send(b"Greet Bob\n")
        assert await until(waits, within_s=20)
        [asked] = (await grace.get("/approvals?state=waiting"))["items"]
        await grace.call("POST", f"/approvals/{asked['id']}/grant", {})
        assert await until(has_come, within_s=20)
        await process.stdin.send(b"Greet Ada\n")
        await process.stdin.aclose()
        out = b"".join([piece async for piece in process.stdout]).decode()

    news = out.index("Hello BOB!") if "Hello BOB!" in out else out.index("What you")
    assert news < out.index("Hello ADA!")
    assert out.count("Hello ADA!") == 1
    assert out.count("Waiting for role:approver") == 1


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("stage_manifest.json", "{", "stage_manifest.json"),
        ("stage_runtime_contract.md", "# none", "has no assistantReply"),
        ("tools/look-up.json", "[]", "look-up.json"),
        ("KnowledgeBase/dictionary.yaml", "a: &x 1", "dictionary.yaml"),
    ],
)
async def test_a_folder_that_is_broken_is_told_before_anything_is_saved(
    terminal: Terminal, tmp_path: Path, file: str, text: str, told: str
) -> None:
    folder = folder_at(tmp_path / "agent")
    await anyio.Path(folder / file).write_text(text, encoding="utf-8")
    before = await terminal.served.counts()

    ran = await terminal.run("import", "--agent-contract", str(folder))

    assert ran.code == 78
    assert told in ran.err.replace("\n", "")
    assert await terminal.served.counts() == before
