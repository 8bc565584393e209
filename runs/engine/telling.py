"""Telling what was stored: hot events, log lines, the end of the run."""

from __future__ import annotations

import logging
from functools import partial

import structlog

from bus import Bus
from contracts import (
    TERMINAL,
    BusUnavailable,
    Envelope,
    RunEnded,
    RunEvent,
    RunEventSaid,
    RunRow,
    said,
)
from contracts.envelope import Body
from plans.fold import STATUS_AT_END

_log = structlog.get_logger()

_LINES = {
    "run_created": "run.created",
    "run_claimed": "run.claimed",
    "run_paused": "run.paused",
    "tool_call": "tool.called",
    **dict.fromkeys(TERMINAL, "run.ended"),
}
"""The events that are a line of the log, and its name there."""

_SHOWN = ("reason", "tool", "call_id", "effect", "key")
"""The parts of a payload that a line shows."""


def tell(bus: Bus, row: RunRow, owner: str, events: tuple[RunEvent, ...]) -> None:
    """Broadcast stored events on the run's topic, and on another that it rests.

    ``run:ID`` has every event and the end; ``run:ID:rest`` only pauses and the end,
    for those who wait for nothing else.
    """
    topic, last = f"run:{row.id}", events[-1]
    for event in events:
        bus.broadcast(topic, partial(_event_said, row, owner, event))

    if last.type in TERMINAL:
        bus.broadcast(topic, partial(_run_ended, row, owner, last))
        bus.broadcast(f"{topic}:rest", partial(_run_ended, row, owner, last))
    elif last.type == "run_paused":
        bus.broadcast(f"{topic}:rest", partial(_event_said, row, owner, last))

    if _log.is_enabled_for(logging.INFO):
        _write(row, owner, events)


async def tell_origin(
    bus: Bus, row: RunRow, owner: str, events: tuple[RunEvent, ...]
) -> None:
    """Say to the conversation that began the run that it has ended.

    One that does not hear of it looks for itself, a little later.
    """
    if row.origin.kind != "conversation" or events[-1].type not in TERMINAL:
        return

    try:
        await bus.publish(_run_ended(row, owner, events[-1]))
    except BusUnavailable as error:
        _log.warning("hint.dropped", what="run_ended", error=error.message)


def _event_said(row: RunRow, owner: str, event: RunEvent) -> Envelope:
    return _envelope(row, owner, event, RunEventSaid(event=event))


def _run_ended(row: RunRow, owner: str, last: RunEvent) -> Envelope:
    ended = RunEnded(run_id=row.id, status=STATUS_AT_END[last.type], origin=row.origin)
    return _envelope(row, owner, last, ended)


def _envelope(row: RunRow, owner: str, event: RunEvent, body: Body) -> Envelope:
    return said(
        body,
        by=owner,
        tenant=row.tenant,
        at=event.at,
        correlation_id=row.correlation_id,
    )


def _write(row: RunRow, owner: str, events: tuple[RunEvent, ...]) -> None:
    for event in events:
        line = _LINES.get(event.type)
        if line is not None:
            shown = {key: event.payload[key] for key in _SHOWN if key in event.payload}
            _log.info(
                line,
                run_id=row.id,
                tenant=row.tenant,
                correlation_id=row.correlation_id,
                workflow=row.workflow,
                worker=owner,
                **({"node_id": event.node_id} if event.node_id else {}),
                **shown,
                **_ending(event),
            )


def _ending(event: RunEvent) -> dict[str, str]:
    """How the run ended, if this event ends it."""
    if event.type not in TERMINAL:
        return {}

    error = event.payload.get("error") or {}
    code = {"code": error["code"]} if "code" in error else {}
    return {"status": STATUS_AT_END[event.type], **code}
