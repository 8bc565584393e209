"""What must hold of every run's history, whatever happened to its workers."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import TERMINAL, RunEvent, RunRow
from plans.fold import fold, resume_fold

_ANSWERS = frozenset({"tool_result", "tool_error", "tool_unknown"})
_ENDS_OF_AN_ATTEMPT = frozenset({"node_complete", "node_error"})


def check_history(row: RunRow, events: Sequence[RunEvent]) -> None:
    """Fail unless the events are the whole, honest log of the row's run."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))

    _check_ends(events)
    _check_calls(events)
    _check_attempts(events)
    _check_epochs(events)
    _check_projection(row, events)


def _check_ends(events: Sequence[RunEvent]) -> None:
    """At most one terminal event, and nothing after it."""
    ends = [event.seq for event in events if event.type in TERMINAL]
    assert ends in ([], [len(events)])


def _check_calls(events: Sequence[RunEvent]) -> None:
    """Every answer has its own earlier intent; an ended run leaves none open."""
    open_calls: set[str] = set()
    for event in events:
        if event.type == "tool_call":
            assert event.payload["call_id"] not in open_calls
            open_calls.add(event.payload["call_id"])
        elif event.type in _ANSWERS:
            assert event.payload["call_id"] in open_calls
            open_calls.remove(event.payload["call_id"])

    assert not (open_calls and events and events[-1].type in TERMINAL)


def _check_attempts(events: Sequence[RunEvent]) -> None:
    """What ends an attempt follows its start; a completed node stays completed."""
    started: set[tuple[str | None, int | None]] = set()
    completed: set[str | None] = set()
    for event in events:
        if event.type == "node_start":
            assert event.node_id not in completed
            started.add((event.node_id, event.attempt))
        elif event.type in _ENDS_OF_AN_ATTEMPT:
            assert (event.node_id, event.attempt) in started
            assert event.node_id not in completed

        if event.type == "node_complete":
            completed.add(event.node_id)


def _check_epochs(events: Sequence[RunEvent]) -> None:
    """Nothing is called before somebody claimed the run."""
    claims = [event.seq for event in events if event.type == "run_claimed"]
    calls = [event.seq for event in events if event.type == "tool_call"]
    assert not calls or (claims and claims[0] < calls[0])


def _check_projection(row: RunRow, events: Sequence[RunEvent]) -> None:
    """The stored projection is the fold up to its seq, and goes on to the whole."""
    whole = fold(events).state()
    upto = fold(events[: row.state.seq]).state()
    if row.state.seq:
        assert upto.model_dump_json() == row.state.model_dump_json()

    resumed = resume_fold(row.state, events[row.state.seq :])
    if events:
        assert resumed.model_dump_json() == whole.model_dump_json()
