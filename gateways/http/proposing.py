"""Proposing a decision and waiting, with a deadline, for what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contracts import (
    Action,
    Approved,
    Awaiting,
    Decision,
    DecisionRecord,
    Envelope,
    JsonObject,
    NoReply,
    Outcome,
    Refused,
    TemporaryError,
    later,
    new_id,
    said,
)
from gateways.http.call import Call

Wait = Literal["verdict", "outcome", "none"]
"""How far a caller wants to hear."""

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a proposed decision when the wait is over."""

    decision_id: str
    correlation_id: str
    verdict: Approved | Refused | Awaiting
    outcome: Outcome | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a caller proposes; the call adds who and when."""

    action: Action
    args: JsonObject
    reason: str = ""
    dry_run: bool = False
    decision_id: str = ""


async def propose(
    call: Call, proposed: Proposed, *, wait: Wait = "outcome", timeout_s: float = 30.0
) -> Answer:
    """Put a decision to the gate and wait for its verdict or outcome.

    Raises TemporaryError ``gate_unavailable`` if the gate does not answer in time;
    then nothing happened and nothing will.
    """
    envelope = _decision(call, proposed)
    decision_id = _body(envelope).id
    call.headers["X-Decision-Id"] = decision_id
    call.headers["X-Correlation-Id"] = envelope.correlation_id
    try:
        replies = await call.door.bus.ask(
            envelope,
            timeout_s=call.door.gate_deadline_s,
            until=lambda reply: _is_last(reply, proposed, wait),
        )
    except NoReply as error:
        heard: tuple[Envelope, ...] = error.received
        answer = _answer(envelope, heard)
        if answer is None:
            answer = await _from_record(call, envelope)

        return await _outcome_of(call, answer, wait, timeout_s)

    answer = _answer(envelope, replies)
    if answer is None:
        answer = await _from_record(call, envelope)

    return answer


async def answered_before(call: Call, decision_id: str) -> Answer | None:
    """What is known of a decision proposed earlier; None if nothing is recorded."""
    record = await call.door.store.decisions.get(call.tenant, decision_id)
    if record is None:
        return None

    call.headers["X-Decision-Id"] = decision_id
    call.headers["X-Correlation-Id"] = record.correlation_id
    return _answer_of(record)


async def settled(
    call: Call, decision_id: str, timeout_s: float
) -> DecisionRecord | None:
    """The record once it has an outcome, or as it is when the time is over."""
    door = call.door
    deadline = door.clock.monotonic() + timeout_s
    while True:
        record = await door.store.decisions.get(call.tenant, decision_id)
        if record is None or record.outcome is not None:
            return record

        if door.clock.monotonic() >= deadline:
            return record

        await door.clock.sleep(_POLL_S)


def _decision(call: Call, proposed: Proposed) -> Envelope:
    at = call.door.at()
    not_after = later(at, call.door.gate_deadline_s)
    body = Decision(
        id=proposed.decision_id or new_id("dec"),
        action=proposed.action,
        args=proposed.args,
        proposer=call.proposer,
        principal=call.principal,
        channel=call.channel,
        reason=proposed.reason,
        dry_run=proposed.dry_run,
        not_after=not_after,
        created_at=at,
    )
    return said(
        body,
        by="http",
        tenant=call.tenant,
        at=at,
        reply_to=call.door.bus.address,
        not_after=not_after,
    )


def _body(envelope: Envelope) -> Decision:
    if not isinstance(envelope.body, Decision):
        raise TypeError(f"no decision: {envelope.kind}")

    return envelope.body


def _is_last(reply: Envelope, proposed: Proposed, wait: Wait) -> bool:
    if isinstance(reply.body, Approved):
        return wait != "outcome" or proposed.dry_run

    return isinstance(reply.body, Refused | Awaiting | Outcome)


def _answer(envelope: Envelope, replies: tuple[Envelope, ...]) -> Answer | None:
    """What the replies say; None if they hold no verdict."""
    verdict = outcome = None
    for reply in replies:
        if isinstance(reply.body, Approved | Refused | Awaiting):
            verdict = reply.body
        elif isinstance(reply.body, Outcome):
            outcome = reply.body

    if verdict is None:
        return None

    return Answer(_body(envelope).id, envelope.correlation_id, verdict, outcome)


async def _from_record(call: Call, envelope: Envelope) -> Answer:
    answer = await answered_before(call, _body(envelope).id)
    if answer is None:
        raise TemporaryError(
            code="gate_unavailable", details={"decision_id": _body(envelope).id}
        )

    return answer


async def _outcome_of(
    call: Call, answer: Answer, wait: Wait, timeout_s: float
) -> Answer:
    if wait != "outcome" or not isinstance(answer.verdict, Approved):
        return answer

    if answer.outcome is not None:
        return answer

    record = await settled(call, answer.decision_id, timeout_s)
    return _answer_of(record) if record is not None else answer


def _answer_of(record: DecisionRecord) -> Answer:
    return Answer(
        record.id, record.correlation_id, record.verdict, record.outcome, record.state
    )
