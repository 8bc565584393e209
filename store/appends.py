"""What an append means: its positions, the status after it, which events are shown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from contracts import EVENTS, SequenceConflict
from store.protocol import Append, EventFilter

_STATUS_AFTER: dict[str, str] = {
    "run_started": "running",
    "run_resumed": "running",
    "run_paused": "paused",
    "workflow_complete": "completed",
    "workflow_error": "failed",
    "run_canceled": "canceled",
}
"""The status of a run by the last of these events in its log."""


def unless_gaps(append: Append) -> None:
    """Raises SequenceConflict if the events of an append do not follow each other."""
    follow_each_other(event.seq for event in append.events)


def follow_each_other(positions: Iterable[int]) -> None:
    """Raises SequenceConflict if positions of an append do not follow each other."""
    if any(after != before + 1 for before, after in pairwise(positions)):
        raise SequenceConflict("What an append brings follows each other.")


def status_after(append: Append) -> str | None:
    """The status of the run after an append; None if it stays as it is."""
    if append.state is not None:
        return append.state.status

    said = (_STATUS_AFTER.get(event.type) for event in reversed(append.events))
    return next(filter(None, said), None)


def types_of(where: EventFilter) -> list[str] | None:
    """The types a filter lets pass; None if it lets pass all."""
    if not where.types and where.channel is None:
        return None

    return [
        type_
        for type_, row in EVENTS.items()
        if (not where.types or type_ in where.types)
        and where.channel in (None, row.channel)
    ]
