"""The messages of a trace: whatever the log files at hand know of them."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from contracts import JsonObject
from sluicegate.cli.tracing import _messages, _said

CHAIN = "msg_first"


def line(message: str, cause: str | None, sender: str) -> JsonObject:
    """A message as the log of a process tells of it."""
    return {
        "timestamp": "2026-11-21T03:54:40.123Z",
        "event": "message.published",
        "message_id": message,
        "correlation_id": CHAIN,
        "causation_id": cause,
        "sender": sender,
        "kind": "verdict",
    }


def drawn(lines: list[JsonObject]) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(_said(lines))

    return captured.get()


def test_a_message_whose_cause_is_in_no_log_at_hand_is_drawn_on_top() -> None:
    told = drawn([line("msg_2", "msg_1", "coordinator"), line("msg_3", "msg_2", "w")])

    assert "coordinator → verdict" in told
    assert "w → verdict" in told


def test_a_line_that_was_cut_off_is_left_out_of_a_trace(tmp_path: Path) -> None:
    whole = json.dumps(line(CHAIN, None, "http")) + "\n"
    log = tmp_path / "sluicegate.jsonl"
    log.write_text(whole + whole[:-30])

    assert [one["message_id"] for one in _messages(log, CHAIN)] == [CHAIN]
