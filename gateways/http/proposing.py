"""Proposing a decision and waiting, with a deadline, for what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts import (
    Action,
    Approved,
    Awaiting,
    Decision,
    DecisionRecord,
    Envelope,
    JsonObject,
    MaybePublished,
    NoReply,
    Outcome,
    Refused,
    TemporaryError,
    later,
    said,
)
from gateways.http.call import Call

Until = Literal["verdict", "outcome", "none"]
"""How far a caller wants to hear."""

_POLL_S = 0.05


class Patience(NamedTuple):
    """How far a caller wants to hear, and for how long in seconds."""

    until: Until = "outcome"
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a proposed decision when the wait is over."""

    decision_id: str
    correlation_id: str
    verdict: Approved | Refused | Awaiting
    outcome: Outcome | None = None
    state: str = ""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be heard without a person."""
        if self.outcome is not None or self.state == "dry_run":
            return True

        return not isinstance(self.verdict, Approved)


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a caller proposes; the call adds who and when."""

    action: Action
    args: JsonObject
    reason: str = ""
    dry_run: bool = False
    decision_id: str = ""
    """Empty: the id of the call's own decision."""


async def propose(call: Call, proposed: Proposed, patience: Patience) -> Answer:
    """Put a decision to the gate and wait for its verdict or outcome.

    Raises TemporaryError ``gate_unavailable`` if the gate does not answer in time,
    BusUnavailable if it cannot be asked; then nothing happened and nothing will.
    """
    door = call.door
    gate_s = min(door.gate_deadline_s, patience.timeout_s)
    give_up = door.clock.monotonic() + patience.timeout_s
    envelope = _envelope(call, proposed, gate_s)
    until = "verdict" if proposed.dry_run else patience.until
    answer = await _asked(call, envelope, until, gate_s)
    if until != "outcome" or answer.is_final:
        return answer

    left = give_up - door.clock.monotonic()
    record = await settled(call, answer.decision_id, left)
    return answer if record is None else _answer_of(record)


async def _asked(call: Call, envelope: Envelope, until: Until, gate_s: float) -> Answer:
    """What the gate says in time, by a reply or by its record.

    Raises TemporaryError.
    """
    door = call.door
    give_up = door.clock.monotonic() + gate_s
    try:
        heard = await door.bus.ask(
            envelope, timeout_s=gate_s, until=lambda reply: _is_last(reply, until)
        )
    except NoReply as error:
        heard = error.received
    except MaybePublished as error:
        left = give_up - door.clock.monotonic()
        return await _from_record(call, left, otherwise=error)

    return _answer(envelope, heard) or await _from_record(call)


async def answered_before(
    call: Call, decision_id: str, patience_s: float = 0
) -> Answer | None:
    """What is known of a decision proposed earlier; None if nothing is recorded.

    For so long in seconds a final answer is waited for.
    """
    record = await _polled(call, decision_id, patience_s, _is_answered)
    if record is None:
        return None

    _name(call, decision_id, record.correlation_id)
    return _answer_of(record)


async def judged(
    call: Call, decision_id: str, timeout_s: float
) -> DecisionRecord | None:
    """The record of a decision somebody else proposes; None if it does not come."""
    return await _polled(call, decision_id, timeout_s, lambda _: True)


async def settled(
    call: Call, decision_id: str, timeout_s: float
) -> DecisionRecord | None:
    """The record once it has an outcome, or as it is when the time is over."""
    return await _polled(call, decision_id, timeout_s, _has_outcome)


async def _polled(
    call: Call,
    decision_id: str,
    timeout_s: float,
    enough: Callable[[DecisionRecord], bool],
) -> DecisionRecord | None:
    door = call.door
    give_up = door.clock.monotonic() + timeout_s
    while True:
        record = await door.store.decisions.get(call.tenant, decision_id)
        if record is not None and enough(record):
            return record

        if door.closing.is_set() or door.clock.monotonic() >= give_up:
            return record

        await door.clock.sleep(_POLL_S)


def _has_outcome(record: DecisionRecord) -> bool:
    return record.outcome is not None


def _is_answered(record: DecisionRecord) -> bool:
    return _answer_of(record).is_final


def _envelope(call: Call, proposed: Proposed, gate_s: float) -> Envelope:
    """The decision as it is said to the gate; the answer's headers name it."""
    at = call.door.at()
    not_after = later(at, gate_s)
    body = Decision(
        id=proposed.decision_id or call.asked.decision_id,
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
    _name(call, body.id, call.asked.message_id)
    return said(
        body,
        id=call.asked.message_id,
        by="http",
        tenant=call.tenant,
        at=at,
        reply_to=call.door.bus.address,
        not_after=not_after,
        traceparent=call.traceparent,
    )


def _name(call: Call, decision_id: str, correlation_id: str) -> None:
    call.headers["X-Decision-Id"] = decision_id
    call.headers["X-Correlation-Id"] = correlation_id


def _is_last(reply: Envelope, until: Until) -> bool:
    if isinstance(reply.body, Approved):
        return until != "outcome"

    return isinstance(reply.body, Refused | Awaiting | Outcome)


def _answer(envelope: Envelope, heard: tuple[Envelope, ...]) -> Answer | None:
    """What the replies say; None if they hold no verdict."""
    verdict = outcome = None
    for reply in heard:
        if isinstance(reply.body, Approved | Refused | Awaiting):
            verdict = reply.body
        elif isinstance(reply.body, Outcome):
            outcome = reply.body

    if verdict is None:
        return None

    return Answer(verdict.decision_id, envelope.correlation_id, verdict, outcome)


async def _from_record(
    call: Call, patience_s: float = 0, *, otherwise: TemporaryError | None = None
) -> Answer:
    """What is recorded by then though nobody said so.

    Raises ``otherwise``, or ``gate_unavailable``: after the deadline a decision that
    nobody recorded is refused by whoever hears it.
    """
    decision_id = call.headers["X-Decision-Id"]
    answer = await answered_before(call, decision_id, patience_s)
    if answer is None:
        raise otherwise or TemporaryError(
            code="gate_unavailable", details={"decision_id": decision_id}
        )

    return answer


def _answer_of(record: DecisionRecord) -> Answer:
    return Answer(
        record.id, record.correlation_id, record.verdict, record.outcome, record.state
    )
