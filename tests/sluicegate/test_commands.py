"""Commands: what they say to people and machines, and how they exit."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
import pytest
import structlog

from bus import Bus
from contracts import (
    Envelope,
    Fault,
    Outcome,
    PermanentError,
    derived_id,
    new_id,
    said,
)
from contracts.envelope import RunReady
from sluicegate.cli import main
from tests.support.doorway import (
    Doorway,
    Gatekeeper,
    approved,
    asking,
    done,
    failed,
    new_key,
    open_doorway,
    refused,
    silent,
)
from tests.support.logging import restored
from tests.support.polling import until
from tests.support.stored import AT, ended, paused, run

DONE, FAILED, USAGE, REFUSED, AWAITING = 0, 1, 2, 3, 4
UNAVAILABLE, CONFIGURATION = 69, 78

_SILENT = logging.CRITICAL
"""The service's lines would stand among those of a command."""


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for machines."""
        return json.loads(self.out)


class Shell:
    """Runs commands against a service, as processes of their own would."""

    def __init__(self, doorway: Doorway, patch: pytest.MonkeyPatch) -> None:
        self.doorway = doorway
        self.patch = patch

    async def __call__(self, *words: str) -> Ran:
        return await anyio.to_thread.run_sync(self._run, words)

    def _run(self, words: tuple[str, ...]) -> Ran:
        self.patch.setattr("sys.argv", ["sluicegate", *words])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                return Ran(int(end.code or 0), out.getvalue(), err.getvalue())

        return Ran(DONE, out.getvalue(), err.getvalue())


@pytest.fixture
async def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shell]:
    """A shell whose service does everything."""
    for name in list(os.environ):
        if name.startswith("SLUICEGATE_"):
            monkeypatch.delenv(name)

    monkeypatch.setenv("SLUICEGATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    with restored():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(_SILENT)
        )
        async with open_doorway(gate_deadline_s=0.2) as doorway:
            monkeypatch.setenv("SLUICEGATE_URL", f"http://127.0.0.1:{doorway.port}")
            monkeypatch.setenv("SLUICEGATE_KEY", doorway.key)
            yield Shell(doorway, monkeypatch)


def making_run(**more: Any) -> Any:
    """Approved, and the run is there in this state."""

    async def rule(gate: Gatekeeper, envelope: Any) -> None:
        decision_id = approved(gate, envelope).decision_id
        row = run(id=derived_id("run", decision_id, "0"), **more)
        await gate.store.runs.create(row)
        await done({"run_id": row.id})(gate, envelope)

    return rule


# ------------------------------------------------------------------- exit codes


async def test_a_decision_that_was_carried_out_exits_as_done(shell: Shell) -> None:
    shell.doorway.gate.ruling = done({"n": 1})

    ran = await shell("decide", "workflow.run", "--args", '{"workflow": "greet"}')

    assert ran.code == DONE
    assert "approved by permitted" in ran.out
    assert '"n": 1' in ran.out


async def test_a_decision_that_asks_people_exits_as_awaiting(shell: Shell) -> None:
    shell.doorway.gate.ruling = asking

    ran = await shell("decide", "workflow.run", "--args", '{"workflow": "greet"}')

    assert ran.code == AWAITING
    assert "sluicegate approve apr_" in ran.out


async def test_a_decision_that_is_refused_exits_as_refused(shell: Shell) -> None:
    shell.doorway.gate.ruling = refused()

    ran = await shell("decide", "workflow.run", "--args", '{"workflow": "greet"}')

    assert (ran.code, ran.out) == (REFUSED, "")
    assert "Not today." in ran.err
    assert "refused" in ran.err


async def test_a_decision_that_failed_exits_as_failed(shell: Shell) -> None:
    fault = Fault(code="name_conflict", message="The name is taken.")
    shell.doorway.gate.ruling = failed(
        lambda decision_id: Outcome(
            decision_id=decision_id, state="failed", error=fault
        )
    )

    ran = await shell("decide", "workflow.save", "--args", '{"definition": {}}')

    assert ran.code == FAILED
    assert "The name is taken." in ran.err


async def test_a_gate_that_does_not_answer_exits_as_unavailable(shell: Shell) -> None:
    shell.doorway.gate.ruling = silent

    assert (await shell("decide", "workflow.run")).code == UNAVAILABLE


async def test_a_service_that_is_not_there_exits_as_unavailable(shell: Shell) -> None:
    ran = await shell("runs", "--url", "http://127.0.0.1:1")

    assert ran.code == UNAVAILABLE
    assert "Nothing answers at http://127.0.0.1:1" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("run",),
        ("decide", "workflow.run", "--args", "{"),
        ("decide", "workflow.run", "--args", "@/nowhere.json"),
        ("run", "greet", "-i", "name"),
        ("trace", "x"),
        ("runs", "--limit", "0"),
        ("runs", "--key-file", "/nowhere.key"),
        ("runs", "--key", "sg_x"),
    ],
    ids=" ".join,
)
async def test_words_that_make_no_command_exit_as_usage(
    shell: Shell, words: tuple[str, ...]
) -> None:
    ran = await shell(*words)

    assert (ran.code, ran.out) == (USAGE, "")
    assert "Error" in ran.err
    assert shell.doorway.gate.asked == []


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "--url", "nonsense"),
        ("policy", "check", "--config", "/nowhere.toml"),
        ("serve", "--config", "/nowhere.toml"),
        ("serve", "--role", "worker"),
        ("logs",),
    ],
    ids=" ".join,
)
async def test_a_configuration_that_cannot_be_used_exits_as_such(
    shell: Shell, words: tuple[str, ...]
) -> None:
    ran = await shell(*words)

    assert ran.code == CONFIGURATION
    assert len((ran.err or ran.out).splitlines()) <= 3


async def test_a_key_that_is_not_good_exits_as_refused(shell: Shell) -> None:
    shell.patch.setenv("SLUICEGATE_KEY", "sg_wrong")

    ran = await shell("runs")

    assert ran.code == REFUSED
    assert "The key is not valid." in ran.err
    assert "sg_wrong" not in ran.err


async def test_a_key_may_stand_in_a_file(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "eve.key"
    file.write_text(f"{await new_key(shell.doorway.store, 'eve', 'viewer')}\n")
    shell.patch.setenv("SLUICEGATE_KEY", "sg_wrong")

    ran = await shell("keys", "list", "--key-file", str(file))

    assert ran.code == REFUSED
    assert "key.manage" in ran.err


# ------------------------------------------------------------------- run


async def test_a_run_that_completed_shows_its_output_and_exits_as_done(
    shell: Shell,
) -> None:
    state = ended(4).model_copy(update={"output": {"greeting": "Hello"}})
    shell.doorway.gate.ruling = making_run(state=state)

    ran = await shell("run", "greet", "-i", "name=Ada", "-i", "n=3", "-i", "x=[1]")

    [decision] = shell.doorway.gate.decisions
    assert ran.code == DONE
    assert '"greeting": "Hello"' in ran.out
    assert decision.args["input"] == {"name": "Ada", "n": 3, "x": [1]}


async def test_a_run_that_failed_exits_as_failed(shell: Shell) -> None:
    error = Fault(code="tool_timeout", message="The tool did not answer.")
    state = ended(4, "failed").model_copy(
        update={"error": error, "terminal_event": "workflow_error"}
    )
    shell.doorway.gate.ruling = making_run(state=state)

    ran = await shell("run", "greet")

    assert ran.code == FAILED
    assert "tool_timeout: The tool did not answer." in ran.err


async def test_a_run_that_waits_for_a_person_exits_as_awaiting(shell: Shell) -> None:
    waiting = ({"node": "ask", "kind": "approval", "approval_id": new_id("apr")},)
    state = paused(3, "approval").model_copy(update={"waiting_on": waiting})
    shell.doorway.gate.ruling = making_run(state=state)

    ran = await shell("run", "greet")

    assert ran.code == AWAITING
    assert f"sluicegate approve {waiting[0]['approval_id']}" in ran.out


async def test_the_same_word_for_once_is_the_same_run(shell: Shell) -> None:
    shell.doorway.gate.ruling = making_run(state=ended(4))

    first = await shell("run", "greet", "--once", "k", "--json")
    second = await shell("run", "greet", "--once", "k", "--json")

    assert first.json["id"] == second.json["id"]
    assert len(shell.doorway.gate.asked) == 1


# ------------------------------------------------------------------- dead letters


async def test_dead_letters_are_listed_shown_and_handled(shell: Shell) -> None:
    bus = shell.doorway.door.bus
    shell.doorway.gate.ruling = done({"id": "msg_x", "state": "dropped"})
    none = await shell("dead-letters", "list")

    async def unable(_: Envelope) -> None:
        raise PermanentError("Nobody can.")

    bus.subscribe("run_ready", "worker", unable)
    ready = said(RunReady(run_id=new_id("run")), by="test", tenant="default", at=AT)
    await bus.publish(ready)
    assert await until(lambda: _is_dead(bus, ready.id))

    listed = await shell("dead-letters", "list")
    shown = await shell("dead-letters", "show", ready.id)
    dropped = await shell("dead-letters", "drop", ready.id)

    assert "There are no dead letters." in none.out
    assert ready.id in listed.out
    assert "Nobody can." in listed.out
    assert '"kind": "run_ready"' in shown.out
    assert (dropped.code, dropped.out.split()) == (DONE, ["done", "dropped", "msg_x"])
    [decision] = shell.doorway.gate.decisions
    assert (decision.action, decision.args) == ("dead_letter.drop", {"id": ready.id})


async def _is_dead(bus: Bus, letter_id: str) -> bool:
    return await bus.dead_letter(letter_id) is not None


# ------------------------------------------------------------------- for machines


@pytest.mark.parametrize(
    "words",
    [
        ("runs",),
        ("approvals",),
        ("keys", "list"),
        ("freeze",),
        ("dead-letters", "list"),
        ("ledger", "verify"),
        ("policy", "check"),
        ("decide", "workflow.run"),
        ("keys", "create", "eve", "--role", "viewer"),
        ("keys", "revoke", "key_01m7y4ad52evcba6zat7tp05c2"),
        ("doctor",),
    ],
    ids=" ".join,
)
async def test_everything_can_be_told_to_machines(
    shell: Shell, words: tuple[str, ...]
) -> None:
    ran = await shell(*words, "--json")

    assert ran.json is not None
    assert len(ran.out.splitlines()) == 1


async def test_a_refusal_for_machines_is_the_problem_itself(shell: Shell) -> None:
    shell.doorway.gate.ruling = refused()

    ran = await shell("decide", "workflow.run", "--json")

    assert ran.code == REFUSED
    assert ran.json["code"] == "refused"
    assert ran.json["rule"] == "never"


async def test_a_problem_is_told_once_and_several_each(shell: Shell) -> None:
    one = await shell("decide", "nonsense")
    many = await shell("keys", "create", "", "--role", "boss")

    assert one.err.count("There is no action") == 1
    assert "/subject" in many.err
    assert "/roles/0" in many.err


# ------------------------------------------------------------------- the rest


async def test_evidence_is_written_with_a_verifier_of_its_own(
    shell: Shell, tmp_path: Path
) -> None:
    await shell("decide", "workflow.run", "--args", '{"workflow": "greet"}')
    file = tmp_path / "evidence.zip"

    ran = await shell("ledger", "export", str(file))

    assert ran.code == DONE
    with zipfile.ZipFile(file) as evidence:
        assert set(evidence.namelist()) == {"ledger.jsonl", "head.json", "verify.py"}
        assert evidence.read("ledger.jsonl").count(b"\n") >= 1


async def test_the_last_lines_of_the_log_are_shown_and_chosen(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "logs" / "sluicegate.jsonl"
    file.parent.mkdir()
    line = {"timestamp": "2026-11-21T04:00:00.123Z", "level": "info"}
    events = ("run.created", "run.ended", "alarm")
    file.write_text(
        "".join(
            json.dumps({**line, "event": event, "run_id": f"run_{n}"}) + "\n"
            for n, event in enumerate(events)
        )
        + '{"cut'
    )

    shown = await shell("logs", "-n", "3")
    chosen = await shell("logs", "--about", "run_1", "--json")

    rows = shown.out.splitlines()
    assert len(rows) == 3
    for row, event in zip(rows, ("run.ended", "alarm", "unreadable"), strict=True):
        assert event in row

    assert "04:00:00.123" in shown.out
    assert chosen.json["event"] == "run.ended"


async def test_a_store_is_brought_to_the_newest_schema(
    shell: Shell, tmp_path: Path
) -> None:
    ran = await shell("migrate")

    assert ran.code == DONE
    assert (tmp_path / "sluicegate.db").is_file()
    assert "has the newest schema" in ran.out


async def test_help_names_every_command(shell: Shell) -> None:
    ran = await shell("--help")

    for command in (
        "serve demo run decide approvals approve refuse runs events trace logs "
        "policy ledger keys freeze doctor migrate"
    ).split():
        assert f" {command} " in ran.out


async def test_keys_are_listed_with_their_doors(shell: Shell) -> None:
    ran = await shell("keys", "list")

    assert ran.code == DONE
    assert "http" in ran.out


def test_a_command_loads_itself_alone() -> None:
    code = (
        "import sys; from sluicegate.cli import app; "
        "sys.argv = ['sluicegate', 'runs', '--help']; app(standalone_mode=False); "
        "print(sorted({'agents', 'bus', 'store', 'aiohttp'} & {*sys.modules}))"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert ran.stdout.decode().splitlines()[-1] == "[]"


async def test_a_command_that_is_misspelt_is_guessed(shell: Shell) -> None:
    ran = await shell("aprove", "apr_1")

    assert ran.code == USAGE
    assert "Did you mean 'approve'" in ran.err
