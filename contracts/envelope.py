"""The envelope: what every message on the bus carries besides what it says.

``kind`` selects the body; each kind has one envelope class, so the type of the
message picks the handler.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from contracts.clock import Timestamp
from contracts.decisions import Decision
from contracts.events import RunEvent
from contracts.ids import Id, new_id
from contracts.message import Message
from contracts.outcomes import Outcome
from contracts.runs import Origin, RunStatus
from contracts.verdicts import Approved, Awaiting, Refused, Verdict

Kind = Literal[
    "user_spoke",
    "decision",
    "verdict",
    "outcome",
    "run_ready",
    "run_ended",
    "run_nudge",
    "deliver",
    "delivered",
    "run_event",
    "text_said",
]


class UserSpoke(Message):
    """A doorbell: something lies in the conversation's inbox."""

    conversation_id: Id


class RunReady(Message):
    """A run wants a worker."""

    run_id: Id


class RunEnded(Message):
    """A run came to its end."""

    run_id: Id
    status: RunStatus
    origin: Origin


class RunNudged(Message):
    """Something lies in the run's inbox."""

    run_id: Id


class Deliver(Message):
    """A text for a person in a chat."""

    id: Id
    conversation_id: Id
    text: str
    buttons: tuple[tuple[str, str], ...] = ()
    """Label and opaque one-use id of each button."""


class Delivered(Message):
    """How a delivery ended."""

    id: Id
    state: Literal["sent", "possibly_sent", "refused"]


class RunEventSaid(Message):
    """An event just written to a run's log; hot, at most once."""

    event: RunEvent


class TextSaid(Message):
    """A piece of what a model says in a turn; hot, at most once."""

    conversation_id: Id
    turn_id: Id
    step: int
    text: str


Body = (
    UserSpoke
    | Decision
    | Approved
    | Refused
    | Awaiting
    | Outcome
    | RunReady
    | RunEnded
    | RunNudged
    | Deliver
    | Delivered
    | RunEventSaid
    | TextSaid
)
"""Everything an envelope may carry."""


class Envelope(Message):
    """Who says it, to whom the answer goes, and what caused it."""

    id: Id
    kind: Kind
    tenant: str
    sender: str
    reply_to: str | None = None
    """The reply channel of the process that waits."""

    in_reply_to: Id | None = None
    correlation_id: str
    """The id of the first message of the chain."""

    causation_id: str | None = None
    """The id of the message that caused this one."""

    not_after: Timestamp | None = None
    traceparent: str | None = None
    sent_at: Timestamp
    body: Body


class _UserSpoke(Envelope):
    kind: Literal["user_spoke"] = "user_spoke"
    body: UserSpoke


class _Decision(Envelope):
    kind: Literal["decision"] = "decision"
    body: Decision


class _Verdict(Envelope):
    kind: Literal["verdict"] = "verdict"
    body: Verdict


class _Outcome(Envelope):
    kind: Literal["outcome"] = "outcome"
    body: Outcome


class _RunReady(Envelope):
    kind: Literal["run_ready"] = "run_ready"
    body: RunReady


class _RunEnded(Envelope):
    kind: Literal["run_ended"] = "run_ended"
    body: RunEnded


class _RunNudged(Envelope):
    kind: Literal["run_nudge"] = "run_nudge"
    body: RunNudged


class _Deliver(Envelope):
    kind: Literal["deliver"] = "deliver"
    body: Deliver


class _Delivered(Envelope):
    kind: Literal["delivered"] = "delivered"
    body: Delivered


class _RunEvent(Envelope):
    kind: Literal["run_event"] = "run_event"
    body: RunEventSaid


class _TextSaid(Envelope):
    kind: Literal["text_said"] = "text_said"
    body: TextSaid


AnyEnvelope = Annotated[
    _UserSpoke
    | _Decision
    | _Verdict
    | _Outcome
    | _RunReady
    | _RunEnded
    | _RunNudged
    | _Deliver
    | _Delivered
    | _RunEvent
    | _TextSaid,
    Field(discriminator="kind"),
]
"""An envelope of any kind, to be read from bytes by a codec."""

_CLASS_OF: dict[type[Message], type[Envelope]] = {
    UserSpoke: _UserSpoke,
    Decision: _Decision,
    Approved: _Verdict,
    Refused: _Verdict,
    Awaiting: _Verdict,
    Outcome: _Outcome,
    RunReady: _RunReady,
    RunEnded: _RunEnded,
    RunNudged: _RunNudged,
    Deliver: _Deliver,
    Delivered: _Delivered,
    RunEventSaid: _RunEvent,
    TextSaid: _TextSaid,
}


def said(body: Body, *, by: str, tenant: str, at: Timestamp, **more: Any) -> Envelope:
    """The envelope of a message that begins a chain.

    ``more`` may set any other field of the envelope, its id too.
    """
    message_id = more.pop("id", "") or new_id("msg")
    return _CLASS_OF[type(body)](
        id=message_id,
        tenant=tenant,
        sender=by,
        correlation_id=more.pop("correlation_id", message_id),
        sent_at=at,
        body=body,
        **more,
    )


def caused(
    body: Body, *, cause: Envelope, by: str, at: Timestamp, **more: Any
) -> Envelope:
    """The envelope of a message that another one caused; same chain and tenant."""
    return _CLASS_OF[type(body)](
        id=new_id("msg"),
        tenant=cause.tenant,
        sender=by,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        traceparent=cause.traceparent,
        sent_at=at,
        body=body,
        **more,
    )
