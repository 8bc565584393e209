from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import EVENTS, PermanentError, RunEvent, RunState, derived_id
from plans.fold import apply, fold, resume_fold
from plans.progress import Progress

RUN = "run_01jt0000000000000000000000"
ERROR = {"code": "tool_raised", "message": "It raised.", "details": {"n": 1}}
CALL = {
    "call_id": "call_1",
    "tool": "t",
    "effect": "idempotent",
    "key": "k",
    "input": {},
}

WISH: dict[str, Any] = {
    "id": "1.1.0",
    "name": "pay",
    "arguments": "{}",
    "input": {},
    "decision_id": "dec_1",
}

PAYLOADS: dict[str, list[dict[str, Any]]] = {
    "run_created": [{"input": {}}, {"waiting_on": [{"kind": "not_started"}]}],
    "run_claimed": [{"worker": "w"}],
    "run_started": [{}],
    "run_paused": [
        {"reason": "wait", "waiting_on": [{"node": "a", "kind": "wait"}]},
        {
            "reason": "budget",
            "waiting_on": [{"node": "b", "kind": "budget", "until": None}],
        },
        {"reason": "error", "waiting_on": [], "signals": []},
    ],
    "run_resumed": [{"by": "ada"}],
    "run_cancel_requested": [{"by": "ada", "reason": ""}],
    "node_start": [
        {"input": {"x": 1}},
        {},
        {"decision_id": "dec_1", "input": {}, "step": 3},
        {"wait": {"until": None, "signal": "go"}},
        {"carried": "run_0"},
    ],
    "node_complete": [{"output": {"v": [1, None]}, "routes": ["b"]}, {"output": 2}],
    "node_error": [
        {"error": ERROR, "will": will, **more}
        for will, more in (
            ("retry", {}),
            ("fail", {}),
            ("pause", {}),
            ("continue", {"routes": ["b"]}),
            ("route", {"routes": []}),
        )
    ],
    "node_skipped": [{}],
    "node_retry": [
        {"attempt": 2, "not_before": "2026-11-21T00:00:00.000Z", "by": by}
        for by in ("policy", "gate", "ada")
    ],
    "tool_call": [CALL, {**CALL, "decision_id": "dec_1"}],
    "tool_result": [{"call_id": "call_1", "output": {}}],
    "tool_error": [{"call_id": "call_1", "error": ERROR}],
    "tool_unknown": [{"call_id": "call_1", "reason": "lost"}],
    "model_request": [{"call_id": "call_1", "stage": "s", "turn": 1}],
    "model_response": [
        {"text": "x", "usage": {"tokens": 3}, "cost": 0.25},
        {"functions": [WISH, {**WISH, "id": "1.1.1", "decision_id": None}]},
    ],
    "model_error": [{"error": ERROR}, {"error": ERROR, "usage": {"tokens": 2}}],
    "model_told": [{"function": "1.1.0", "output": "{}"}],
    "approval_requested": [{"approval_id": "apr_1", "expires_at": None}],
    "approval_granted": [{"decision_id": "dec_1", "verdict_id": "vrd_1"}],
    "approval_refused": [{"decision_id": "dec_1"}],
    "approval_expired": [{"decision_id": "dec_1"}],
}
ENDS: dict[str, dict[str, Any]] = {
    "workflow_complete": {"output": {"greeting": "HELLO"}},
    "workflow_error": {"error": ERROR, "node_id": "a"},
    "run_canceled": {"reason": "enough"},
}


def an_event(
    seq: int, what: str, node: str | None, payload: dict[str, Any]
) -> RunEvent:
    lifecycle = EVENTS[what].channel == "lifecycle"
    return RunEvent.model_validate(
        {
            "id": derived_id("evt", RUN, seq),
            "run_id": RUN,
            "seq": seq,
            "type": what,
            "channel": EVENTS[what].channel,
            "node_id": None if lifecycle else node,
            "attempt": None if lifecycle else 1,
            "at": f"2026-11-21T00:00:{seq % 60:02d}.000Z",
            "payload": payload,
        }
    )


@st.composite
def histories(draw: st.DrawFn) -> list[RunEvent]:
    kinds = st.sampled_from([(k, p) for k, ps in PAYLOADS.items() for p in ps])
    nodes = st.sampled_from(["a", "b", "c"])
    said = draw(st.lists(st.tuples(kinds, nodes), max_size=30))
    end = draw(st.sampled_from([None, *ENDS]))
    events = [
        an_event(seq, what, node, payload)
        for seq, ((what, payload), node) in enumerate(said, start=1)
    ]
    if end is not None:
        events.append(an_event(len(events) + 1, end, None, ENDS[end]))

    return events


@given(histories(), st.data())
def test_a_fold_may_be_cut_anywhere_and_resumed_from_the_projection(
    events: list[RunEvent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    stored = fold(events[:cut]).state().model_dump_json()
    resumed = resume_fold(RunState.model_validate_json(stored), events[cut:])

    assert resumed.model_dump_json() == fold(events).state().model_dump_json()


@given(histories())
def test_replaying_a_stored_history_gives_the_same_projection(
    events: list[RunEvent],
) -> None:
    reread = [RunEvent.model_validate_json(e.model_dump_json()) for e in events]

    assert fold(reread).state() == fold(events).state()


def test_an_event_that_is_not_the_next_is_refused() -> None:
    progress = fold([an_event(1, "run_created", None, {})])

    with pytest.raises(PermanentError):
        apply(progress, an_event(3, "run_claimed", None, {}))


def test_every_event_of_a_log_can_be_folded() -> None:
    known = {name for name, row in EVENTS.items() if row.channel != "planning"}

    assert known == PAYLOADS.keys() | ENDS.keys()


def test_success_is_the_terminal_event_and_the_status() -> None:
    done = fold([an_event(1, "workflow_complete", None, {"output": {"n": 1}})]).state()
    failed = fold([an_event(1, "workflow_error", None, {"error": ERROR})]).state()

    assert done.success
    assert not failed.success


def test_the_end_of_a_run_cancels_what_still_waited() -> None:
    state = fold(
        [
            an_event(1, "node_start", "a", {"wait": {"until": None, "signal": "go"}}),
            an_event(2, "node_complete", "b", {"output": 1, "routes": []}),
            an_event(3, "run_canceled", None, {"reason": ""}),
        ]
    ).state()

    assert state.steps_state["a"].status == "canceled"
    assert state.steps_state["b"].status == "completed"


def test_a_new_attempt_by_a_person_needs_a_new_decision() -> None:
    started = an_event(1, "node_start", "a", {"decision_id": "dec_1", "input": {}})
    called = an_event(2, "tool_call", "a", {**CALL, "decision_id": "dec_1"})
    by_policy = an_event(3, "node_retry", "a", {"attempt": 2, "by": "policy"})
    by_person = an_event(3, "node_retry", "a", {"attempt": 2, "by": "ada"})

    assert fold([started, called, by_policy]).node("a").decision_id == "dec_1"
    assert fold([started, called, by_person]).node("a").decision_id is None


def test_folding_costs_only_the_new_events() -> None:
    progress = Progress()
    events = [an_event(n, "run_claimed", None, {}) for n in range(1, 10_001)]
    fold(events[:9_999], progress)

    assert fold(events[9_999:], progress).seq == 10_000
