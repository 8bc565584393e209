"""Folding: what a run's events say of the run, one event at a time.

Pure and deterministic: equal events, equal state, wherever the fold was cut in two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from contracts import (
    TERMINAL,
    Fault,
    PermanentError,
    RunEvent,
    RunState,
    RunStatus,
)
from plans.progress import (
    ModelTurn,
    NodeProgress,
    OpenCall,
    Progress,
    Signal,
    Wish,
)

__all__ = ["STATUS_AT_END", "Progress", "apply", "fold", "resume_fold"]

STATUS_AT_END: dict[str, RunStatus] = {
    "workflow_complete": "completed",
    "workflow_error": "failed",
    "run_canceled": "canceled",
}
"""The status that each terminal event gives a run."""

_HELD = frozenset({"budget", "frozen"})
_STOPPED_BY_THE_END = frozenset({"running", "waiting", "retrying"})


def apply(progress: Progress, event: RunEvent) -> None:
    """Take the next event in. Raises PermanentError if it is not the next."""
    if event.seq != progress.seq + 1:
        raise PermanentError(f"Event {event.seq} does not follow {progress.seq}.")

    progress.seq = event.seq
    progress.last_activity_at = event.at
    _APPLY[event.type](progress, event)


def fold(events: Iterable[RunEvent], onto: Progress | None = None) -> Progress:
    """The progress after these events; ``onto`` is changed and returned."""
    progress = Progress() if onto is None else onto
    for event in events:
        apply(progress, event)

    return progress


def resume_fold(state: RunState, events: Iterable[RunEvent]) -> RunState:
    """The projection after the events that follow ``state.seq``.

    Equal to the projection of the whole log; costs only the new events.
    """
    return fold(events, Progress.of(state)).state()


def _run_created(run: Progress, event: RunEvent) -> None:
    if "waiting_on" in event.payload:
        run.status = "paused"
        run.paused_reason = "not_started"
        run.waiting_on = tuple(event.payload["waiting_on"])


def _run_claimed(run: Progress, event: RunEvent) -> None:
    run.epoch = event.seq


def _run_started(run: Progress, event: RunEvent) -> None:
    run.status = "running"
    run.started_at = event.at


def _run_paused(run: Progress, event: RunEvent) -> None:
    run.status = "paused"
    run.paused_reason = event.payload["reason"]
    run.waiting_on = tuple(event.payload["waiting_on"])
    run.paused_seq = event.seq
    run.signals.extend(Signal(**said) for said in event.payload.get("signals", ()))
    for wait in run.waiting_on:
        if wait["kind"] in _HELD:
            node = run.node(wait["node"])
            node.status, node.held = "waiting", wait["kind"]
            node.retry_at = wait.get("until")


def _run_resumed(run: Progress, _: RunEvent) -> None:
    run.status = "running"
    run.paused_reason = None
    run.waiting_on = ()


def _run_cancel_requested(run: Progress, event: RunEvent) -> None:
    run.cancel = event.payload


def _ended(run: Progress, event: RunEvent) -> None:
    run.status = STATUS_AT_END[event.type]
    run.paused_reason = None
    run.waiting_on = ()
    run.terminal_event = event.type
    run.finished_at = event.at
    run.output = event.payload.get("output")
    run.error = _fault(event)
    for node in run.nodes.values():
        if node.status in _STOPPED_BY_THE_END:
            node.status = "canceled"


def _node_start(run: Progress, event: RunEvent) -> None:
    node, said = run.node(event.node_id), event.payload
    waits = "decision_id" in said or "wait" in said
    node.status = "waiting" if waits else "running"
    node.since = event.seq
    node.attempt = event.attempt or 1
    node.started_at = node.started_at or event.at
    node.began_at = event.at
    node.finished_at = node.output = node.error = node.will = node.retry_at = None
    node.call = node.answer = node.approval_id = node.approval_ends = None
    node.granted = False
    node.input = said.get("input")
    kept = node.decision_id if node.approved else None
    node.decision_id = said.get("decision_id", kept)
    node.wait = said.get("wait")
    node.held = None
    node.carried = "carried" in said
    run.step = said.get("step", run.step)


def _node_complete(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.status = "completed"
    node.finished_at = event.at
    node.output = event.payload.get("output")
    node.error = node.answer = node.call = None
    node.routes = tuple(event.payload.get("routes", ()))
    taken = event.payload.get("signal")
    if taken is not None:
        run.signals = [signal for signal in run.signals if signal.id != taken]


def _node_error(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.will = event.payload["will"]
    node.status = "retrying" if node.will == "retry" else "failed"
    node.since = event.seq
    node.finished_at = event.at
    node.error = _fault(event)
    node.answer = node.call = None
    if "routes" in event.payload:
        node.routes = tuple(event.payload["routes"])

    if node.will == "fail" and run.failed_node is None:
        run.failed_node = event.node_id


def _node_skipped(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.status = "skipped"
    node.finished_at = event.at
    node.routes = ()


def _node_retry(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.status = "retrying"
    node.retry_at = event.payload.get("not_before")
    by = event.payload.get("by")
    if by != "policy":
        node.decision_id = None
        node.approved = False

    if by == "gate":
        node.judged_again += 1
    elif by != "policy":
        node.count_from(event.payload["attempt"])


def _tool_call(run: Progress, event: RunEvent) -> None:
    node, said = run.node(event.node_id), event.payload
    node.status = "running"
    node.effect = said["effect"]
    node.call = OpenCall(said["call_id"], said["tool"], said["effect"], said["key"])
    node.answer = node.held = None
    node.approved = said.get("decision_id") is not None
    run.usage = run.usage.model_copy(update={"calls": run.usage.calls + 1})


def _tool_answered(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.call = None
    node.answer = event
    if event.type == "tool_unknown":
        node.status = "unknown"
        node.since = event.seq


def _model_request(run: Progress, event: RunEvent) -> None:
    node, said = run.node(event.node_id), event.payload
    node.status = "running"
    node.call = OpenCall(said["call_id"], "", "idempotent", "")
    node.answer = node.held = None
    node.asked += 1


def _model_error(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.call = None
    node.answer = event
    _count(run, event)


def _model_response(run: Progress, event: RunEvent) -> None:
    node, said = run.node(event.node_id), event.payload
    node.call = None
    node.answer = event
    wishes = tuple(Wish(**one) for one in said.get("functions", ()))
    node.turns.append(ModelTurn(said.get("text", ""), wishes, said.get("breach")))
    _wait_for_wish(node)
    _count(run, event)


def _model_told(run: Progress, event: RunEvent) -> None:
    node, said = run.node(event.node_id), event.payload
    node.call = node.answer = None
    if node.turns:
        node.turns[-1].told[said["function"]] = said["output"]

    _wait_for_wish(node)


def _wait_for_wish(node: NodeProgress) -> None:
    """The gate is asked about the next function, if there is one to ask about."""
    node.count_from(node.attempt)
    wish = node.wish
    judged = wish is not None and wish.decision_id is not None
    node.status = "waiting" if judged else "running"
    node.decision_id = wish.decision_id if wish is not None else None
    node.approval_id = node.approval_ends = node.held = None
    node.granted = node.approved = False


def _count(run: Progress, event: RunEvent) -> None:
    used = event.payload.get("usage") or {}
    tokens = run.usage.tokens + int(used.get("tokens", 0))
    cost = run.usage.cost + float(event.payload.get("cost") or 0.0)
    run.usage = run.usage.model_copy(update={"tokens": tokens, "cost": cost})


def _approval_requested(run: Progress, event: RunEvent) -> None:
    node = run.node(event.node_id)
    node.status = "waiting"
    node.approval_id = event.payload.get("approval_id")
    node.approval_ends = event.payload.get("expires_at")


def _approval_granted(run: Progress, event: RunEvent) -> None:
    run.node(event.node_id).granted = True


def _nothing(_: Progress, __: RunEvent) -> None:
    """Says nothing about the state beyond its time."""


def _fault(event: RunEvent) -> Fault | None:
    said = event.payload.get("error")
    return None if said is None else Fault(**said)


_APPLY: dict[str, Callable[[Progress, RunEvent], None]] = {
    **dict.fromkeys(TERMINAL, _ended),
    **dict.fromkeys(("tool_result", "tool_error", "tool_unknown"), _tool_answered),
    **dict.fromkeys(("approval_refused", "approval_expired"), _nothing),
    "run_created": _run_created,
    "run_claimed": _run_claimed,
    "run_started": _run_started,
    "run_paused": _run_paused,
    "run_resumed": _run_resumed,
    "run_cancel_requested": _run_cancel_requested,
    "node_start": _node_start,
    "node_complete": _node_complete,
    "node_error": _node_error,
    "node_skipped": _node_skipped,
    "node_retry": _node_retry,
    "tool_call": _tool_call,
    "model_request": _model_request,
    "model_response": _model_response,
    "model_error": _model_error,
    "model_told": _model_told,
    "approval_requested": _approval_requested,
    "approval_granted": _approval_granted,
}
