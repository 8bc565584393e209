"""From evidence to violations: every promise a campaign tests, in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contracts import JsonObject, RunEvent
from contracts.chains import ChainCheck
from tests.faults.calls import check_calls
from tests.faults.evidence import Evidence, History
from tests.faults.history import problems_of
from tests.faults.orders import UNREPEATABLE, Order
from tests.faults.storm import Fault
from tests.faults.violations import Violation
from tests.faults.writers import check_writers

_STRANGE = "no key of ours made this message"
"""Why a message may be given up: it is a stranger's."""


def judge(
    orders: Sequence[Order],
    acked: Mapping[str, str],
    faults: Sequence[Fault],
    evidence: Evidence,
) -> list[Violation]:
    """Every broken promise; ``acked`` maps tokens to run ids and names."""
    histories = {
        order: evidence.histories[run_id]
        for order in orders
        if (run_id := acked.get(order.token)) in evidence.histories
    }
    completed = {
        order.token
        for order, history in histories.items()
        if history.shown["status"] == "completed"
    }
    return [
        *_lost(orders, acked, evidence),
        *_run_by_run(histories, faults),
        *check_calls(orders, completed, evidence.received),
        *_gated(histories, evidence),
        *_chain(evidence),
        *check_writers(evidence.writings),
    ]


def _lost(
    orders: Sequence[Order], acked: Mapping[str, str], evidence: Evidence
) -> Iterator[Violation]:
    for order in orders:
        named = acked.get(order.token)
        if named is None:
            continue  # its client tells of it

        if order.workflow is None:
            yield from _not_saved(named, evidence)
        elif named not in evidence.histories:
            yield Violation("lost", order.token, f"run {named} is not there")


def _not_saved(name: str, evidence: Evidence) -> Iterator[Violation]:
    version = evidence.saved.get(name)
    if version is None:
        yield Violation("lost", name, "it is not there")
    elif version != 1:
        yield Violation("doubled", name, f"it was saved {version} times")


def _run_by_run(
    histories: Mapping[Order, History], faults: Sequence[Fault]
) -> Iterator[Violation]:
    for order, history in histories.items():
        for problem in problems_of(history.shown, history.events):
            yield Violation("gaps", history.shown["id"], problem)

        yield from _rest(order, history, faults)


def _rest(
    order: Order, history: History, faults: Sequence[Fault]
) -> Iterator[Violation]:
    """It completed with what is due, or waits for a person who knows what happened."""
    shown = history.shown
    status, reason = shown["status"], shown["paused_reason"]
    if status in ("queued", "running"):
        yield Violation("stuck", shown["id"], f"it is {status} and does not move")
    elif status == "completed":
        if (shown["success"], shown["output"]) != (True, order.output):
            yield Violation("wrong", shown["id"], f"it returned {shown['output']}")
    elif (status, reason) == ("paused", "needs_attention"):
        yield from _attention(history, faults)
    else:
        yield Violation("wrong", shown["id"], f"it is {status} {reason}")


def _attention(history: History, faults: Sequence[Fault]) -> Iterator[Violation]:
    """Only a call that must not be repeated, and that was in flight at a fault."""
    intents = {
        event.payload["call_id"]: event
        for event in history.events
        if event.type == "tool_call"
    }
    unknown = [event for event in history.events if event.type == "tool_unknown"]
    last = unknown[-1] if unknown else None
    intent = intents.get(last.payload["call_id"]) if last is not None else None
    if last is None or intent is None:
        yield Violation("unexplained", history.shown["id"], "no call is unknown")
    elif intent.payload["tool"] not in UNREPEATABLE:
        yield Violation("unexplained", history.shown["id"], "it may be repeated")
    elif not any(intent.at <= one.ended and one.began <= last.at for one in faults):
        yield Violation("unexplained", history.shown["id"], "no fault in its call")


def _gated(
    histories: Mapping[Order, History], evidence: Evidence
) -> Iterator[Violation]:
    """Every run, and every call with real arguments, has its approval in the ledger."""
    approved = {
        entry.ref
        for entry in evidence.ledger
        if entry.kind == "decision" and _is_approval(entry.body)
    }
    for history in histories.values():
        run_id, decision_id = history.shown["id"], history.shown["decision_id"]
        if decision_id not in approved:
            yield Violation("ungated", run_id, "no approval of the run is recorded")

        for event in history.events:
            if _must_be_asked(event) and event.payload["decision_id"] not in approved:
                yield Violation("ungated", run_id, f"nor is one of call {event.seq}")


def _must_be_asked(event: RunEvent) -> bool:
    return event.type == "tool_call" and event.payload["tool"] in UNREPEATABLE


def _is_approval(body: JsonObject | None) -> bool:
    return body is not None and body["verdict"]["result"] == "approved"


def _chain(evidence: Evidence) -> Iterator[Violation]:
    check = ChainCheck(evidence.head)
    for entry in evidence.ledger:
        check.see(entry)

    for problem in check.finish():
        yield Violation("ledger", "ledger", problem)


def check_bus(evidence: Evidence) -> Iterator[Violation]:
    """Everything that lies on the bus though nothing is to be done any more."""
    for name, number in evidence.pending.items():
        if number:
            yield Violation("left over", name, f"{number} messages are not handled")

    for letter in evidence.dead_letters:
        if not letter["reason"].endswith(_STRANGE):
            sentence = f"it was given up: {letter}"
            yield Violation("left over", str(letter["id"]), sentence)
