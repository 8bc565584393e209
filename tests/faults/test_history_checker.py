"""A checker that finds nothing proves nothing: it must find each broken history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts import EVENTS, RunEvent, derived_id, new_id
from plans.fold import fold
from tests.faults.history import problems_of
from tests.support.stored import at

RUN_ID = new_id("run")
CALL = {"call_id": "c1"}
INTENT = {**CALL, "tool": "charge", "effect": "non_idempotent", "key": "k"}

Log = list[RunEvent]


def test_nothing_is_found_in_a_history_that_holds() -> None:
    log = _log()

    assert problems_of(_shown(log), log) == []


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lambda log: _without(log, 4), "numbered [1, 2, 3, 5, 6, 7, 8]"),
        (lambda log: _numbered([*log[:4], log[3], *log[4:]]), "two events have one id"),
        (lambda log: [log[0], log[2], log[1], *log[3:]], "numbered [1, 3, 2"),
        (lambda log: _numbered([*log, _event("run_started")]), "terminal events at"),
        (lambda log: _numbered([*log, _event("run_canceled")]), "terminal events at"),
        (lambda log: _numbered(_without(log, 2)), "before anybody owned"),
        (lambda log: _numbered(_without(log, 5)), "without its intent"),
        (lambda log: _numbered(_without(log, 6)), "no answer to calls ['c1']"),
        (lambda log: _twice(log, 5), "two intents of call c1"),
        (lambda log: _twice(log, 6), "two answers to call c1"),
        (lambda log: _twice(log, 7), "an attempt that never began"),
    ],
)
def test_each_way_to_break_a_history_is_found(
    breaks: Callable[[Log], Log], told: str
) -> None:
    whole = _log()

    found = problems_of(_shown(whole), breaks(whole))

    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("status", "failed"),
        ("success", False),
        ("output", {"total": 8}),
        ("finished_at", None),
        ("waiting_on", [{"node": "charge"}]),
        ("steps_state", {}),
    ],
)
def test_a_shown_run_that_is_not_the_fold_of_its_events_is_found(
    field: str, wrong: Any
) -> None:
    log = _log()

    found = problems_of({**_shown(log), field: wrong}, log)

    assert len(found) == 1
    assert found[0].startswith(field)


def _log() -> Log:
    """A run that called one tool and completed."""
    return _numbered(
        [
            _event("run_created"),
            _event("run_claimed", worker="w"),
            _event("run_started"),
            _event("node_start", "charge", input={}),
            _event("tool_call", "charge", **INTENT),
            _event("tool_result", "charge", **CALL, output={"ok": True}),
            _event("node_complete", "charge", output={"ok": True}),
            _event("workflow_complete", output={"total": 7}),
        ]
    )


def _event(type_: Any, node: str | None = None, **payload: Any) -> RunEvent:
    return RunEvent(
        id=new_id("evt"),
        run_id=RUN_ID,
        seq=1,
        type=type_,
        channel=EVENTS[type_].channel,
        node_id=node,
        attempt=1 if node else None,
        at=at(0),
        payload=payload,
    )


def _numbered(log: Log) -> Log:
    return [
        event.model_copy(update={"seq": n, "at": at(n)})
        for n, event in enumerate(log, 1)
    ]


def _without(log: Log, seq: int) -> Log:
    return [event for event in log if event.seq != seq]


def _twice(log: Log, seq: int) -> Log:
    again = log[seq - 1].model_copy(
        update={"id": derived_id("evt", log[seq - 1].id, "again")}
    )
    return _numbered([*log[:seq], again, *log[seq:]])


def _shown(log: Log) -> Any:
    state = fold(log).state()
    return {**state.plain(), "success": state.success}
