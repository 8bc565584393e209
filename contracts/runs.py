"""A run: its row in the store, its state as folded from its events."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from contracts.clock import Timestamp
from contracts.decisions import Principal
from contracts.ids import Id
from contracts.message import JsonObject, Message
from contracts.outcomes import Fault
from contracts.verdicts import Pins

RunStatus = Literal["queued", "running", "paused", "completed", "failed", "canceled"]

PausedReason = Literal[
    "approval",
    "error",
    "wait",
    "needs_attention",
    "budget",
    "frozen",
    "gate",
    "not_started",
]

NodeStatus = Literal[
    "pending",
    "running",
    "waiting",
    "retrying",
    "completed",
    "failed",
    "skipped",
    "unknown",
    "canceled",
]

ENDED: frozenset[str] = frozenset({"completed", "failed", "canceled"})
"""The statuses no run leaves."""


class NodeState(Message):
    """How far one node of a run is."""

    status: NodeStatus = "pending"
    attempt: int = 0
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    output: Any = None
    error: Fault | None = None


class Usage(Message):
    """What a run has used so far."""

    tokens: int = 0
    cost: float = 0.0
    calls: int = 0


class RunState(Message):
    """A run as its events tell it up to ``seq``."""

    seq: int = 0
    status: RunStatus = "queued"
    paused_reason: PausedReason | None = None
    waiting_on: tuple[JsonObject, ...] = ()
    """What a paused run waits for: node, kind, and the id or time of it."""

    current_step_index: int | None = None
    steps_state: dict[str, NodeState] = Field(default_factory=dict)
    output: Any = None
    error: Fault | None = None
    usage: Usage = Field(default_factory=Usage)
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    last_activity_at: Timestamp | None = None
    terminal_event: str | None = None

    @property
    def success(self) -> bool:
        """The one definition: ended by ``workflow_complete`` and ``completed``."""
        return succeeded(self.status, self.terminal_event)


def succeeded(status: str, terminal_event: str | None) -> bool:
    """Whether a run of this status and terminal event is a success."""
    return status == "completed" and terminal_event == "workflow_complete"


class Origin(Message):
    """Who hears of the run's end."""

    kind: Literal["api", "conversation", "run", "batch", "schedule", "cli"]
    id: str = ""
    attended: bool = True
    """A person waits, so that an error pauses where nothing else is said."""


class Lease(Message):
    """Which worker owns a run, until when."""

    owner: str
    until: Timestamp


class RunRow(Message):
    """What the store keeps of a run beside its events.

    ``state`` is the projection, written at creation, pause and end;
    in between a reader folds the events after ``state.seq`` onto it.
    """

    id: Id
    tenant: str
    workflow: str
    workflow_version: int
    workflow_digest: str
    decision_id: Id
    index: str = "0"
    correlation_id: str
    input: JsonObject
    pins: Pins
    principal: Principal
    origin: Origin
    key: str | None = None
    tags: tuple[str, ...] = ()
    batch_id: Id | None = None
    retry_of: Id | None = None
    carried: JsonObject = Field(default_factory=dict)
    """Outputs of an earlier run's nodes that are not run again."""

    call_was_judged: bool = False
    """The run's decision was its one tool call, with these very arguments."""

    created_at: Timestamp
    state: RunState = Field(default_factory=RunState)
    lease: Lease | None = None
    wake_at: Timestamp | None = None
    """When a waiting run wants to be looked at."""


class InboxItem(Message):
    """Something from outside for a run or conversation, handled once by its owner.

    ``id`` is the natural key: a second item of the same id is the same item.
    """

    id: str
    kind: Literal[
        "verdict",
        "outcome",
        "cancel",
        "resume",
        "retry",
        "signal",
        "start",
        "said",
        "run_ended",
    ]
    """``said`` and ``run_ended`` lie in conversations alone."""

    at: Timestamp
    body: JsonObject = Field(default_factory=dict)
