"""A run as it goes: one line a node, redrawn at each event."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from contracts import JsonObject, seconds_between
from sluicegate.cli.screen import coloured, screen
from sluicegate.client import Client, Event
from sluicegate.invocation import COMMAND

_MARKS = {
    "completed": ("●", "green"),
    "failed": ("●", "red"),
    "skipped": ("○", "bright_black"),
    "waiting": ("◆", "yellow"),
    "retrying": ("↻", "yellow"),
}
_STATUS_OF = {
    "node_start": "running",
    "node_complete": "completed",
    "node_error": "failed",
    "node_skipped": "skipped",
    "node_retry": "retrying",
    "approval_requested": "waiting",
}


class _Board:
    """What is known of the run so far."""

    def __init__(self) -> None:
        self.status = "queued"
        self.nodes: dict[str, JsonObject] = {}

    def apply(self, event: JsonObject) -> None:
        """Take one event."""
        node_id, kind = event["node_id"], event["type"]
        if node_id is None:
            self.status = _run_status(kind, self.status)
            return

        node = self.nodes.setdefault(node_id, {"status": "pending", "note": ""})
        node["status"] = _STATUS_OF.get(kind, node["status"])
        if kind == "node_start":
            node["began"] = event["at"]

        node["ended"] = event["at"]
        node["note"] = _note(event) or node["note"]

    def __rich__(self) -> RenderableType:
        """The board as rows."""
        grid = Table.grid(padding=(0, 2))
        for name, node in self.nodes.items():
            grid.add_row(_mark(node), name, _took(node), Text(node["note"], "dim"))

        return Group(Text.assemble("run ", coloured(self.status)), grid)


def watch_run(service: Client, run_id: str) -> None:
    """Draw a run until it ends or waits for a person."""
    board = _Board()
    with Live(board, console=screen, refresh_per_second=12) as live:
        for event in service.events(run_id):
            if _is_over(event, board):
                break

            live.update(board)


def _is_over(event: Event, board: _Board) -> bool:
    if not event.id:
        return event.type == "end"

    board.apply(event.data["event"])
    reason = (event.data["event"].get("payload") or {}).get("reason")
    return event.type == "run_paused" and reason != "wait"


def _run_status(kind: str, before: str) -> str:
    return {
        "run_started": "running",
        "run_resumed": "running",
        "run_paused": "paused",
        "workflow_complete": "completed",
        "workflow_error": "failed",
        "run_canceled": "canceled",
    }.get(kind, before)


def _mark(node: JsonObject) -> RenderableType:
    if node["status"] == "running":
        return Spinner("dots", style="cyan")

    return Text(*_MARKS.get(node["status"], ("·", "bright_black")))


def _took(node: JsonObject) -> Text:
    if "began" not in node:
        return Text("")

    took = seconds_between(node["began"], node["ended"]) * 1_000
    return Text(f"{took:.0f} ms", "bright_black")


def _note(event: JsonObject) -> str:
    payload = event.get("payload") or {}
    if event["type"] == "tool_call":
        return f"calls {payload.get('tool')}"

    if event["type"] == "approval_requested":
        return f"waits for a person: {COMMAND} approve {payload.get('approval_id')}"

    error = payload.get("error") or {}
    return f"{error.get('code')}: {error.get('message')}"[:90] if error else ""
