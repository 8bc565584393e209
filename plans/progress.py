"""How far a run and its nodes are, as the events tell it.

What everybody may see is the projection; beside it stands what only the engine needs
to go on after a crash: inputs, routes, decisions, open calls, waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from contracts import (
    Fault,
    JsonObject,
    NodeState,
    NodeStatus,
    PausedReason,
    RunEvent,
    RunState,
    RunStatus,
    Timestamp,
    Usage,
)
from contracts.definitions import EffectClass

Will = Literal["retry", "fail", "pause", "continue", "route"]
"""What follows a failed attempt."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call whose intent is in the log and whose answer is not."""

    call_id: str
    tool: str
    effect: EffectClass
    key: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A function that a model called in its answer."""

    id: str
    name: str
    arguments: str
    input: JsonObject | None = None
    """The arguments as they are used; None if they cannot be."""

    decision_id: str | None = None
    """What judges the call; None if there is nothing to judge."""


@dataclass(slots=True)
class ModelTurn:
    """One answer of a model, and what it was told of the functions it called."""

    text: str = ""
    wishes: tuple[Wish, ...] = ()
    breach: JsonObject | None = None
    """How the answer breaks its contract."""

    told: dict[str, str] = field(default_factory=dict)

    @property
    def next(self) -> Wish | None:
        """The first function of which the model was told nothing yet."""
        return next((one for one in self.wishes if one.id not in self.told), None)


@dataclass(slots=True)
class NodeProgress:
    """How far one node is; below the error only the engine looks."""

    status: NodeStatus = "pending"
    attempt: int = 0
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    output: Any = None
    error: Fault | None = None

    since: int = 0
    """The seq of the event that gave the node its status."""

    began_at: Timestamp | None = None
    """When this attempt began."""

    tried_from: int = 1
    """The first attempt after the last answer of a person or of the model's call:
    retries count from here.
    """

    judged_again: int = 0
    """Attempts since then that the gate was asked about once more: no retries."""

    input: JsonObject | None = None
    routes: tuple[str, ...] | None = None
    """The nodes it leads to; None until it has ended in some way."""

    carried: bool = False
    """Its output is an earlier run's."""

    decision_id: str | None = None
    approval_id: str | None = None
    approval_ends: Timestamp | None = None
    granted: bool = False
    """People said yes; the call may follow."""

    approved: bool = False
    """A call was made under its decision; later attempts need no other one."""

    call: OpenCall | None = None
    effect: EffectClass | None = None
    """The effect class of its last call."""

    answer: RunEvent | None = None
    """The last answer to a call, until something follows from it."""

    turns: list[ModelTurn] = field(default_factory=list)
    """The answers of the model, in all attempts: each goes on from the one before."""

    asked: int = 0
    """How often the model was asked, in all attempts."""

    wait: JsonObject | None = None
    held: str | None = None
    """``budget`` or ``frozen``: what keeps it from its call."""

    will: Will | None = None
    retry_at: Timestamp | None = None

    @property
    def tries(self) -> int:
        """Attempts that its retry policy counts."""
        return self.attempt - self.tried_from - self.judged_again + 1

    def count_from(self, attempt: int) -> None:
        """Retries count from this attempt."""
        self.tried_from, self.judged_again = attempt, 0

    @property
    def wish(self) -> Wish | None:
        """The function that the model waits for."""
        return self.turns[-1].next if self.turns else None

    @classmethod
    def of(cls, state: NodeState) -> NodeProgress:
        """What everybody may see of a node, as progress to go on from."""
        return cls(**{name: getattr(state, name) for name in _SEEN})

    def state(self) -> NodeState:
        """What everybody may see."""
        return NodeState(
            status=self.status,
            attempt=self.attempt,
            started_at=self.started_at,
            finished_at=self.finished_at,
            output=self.output,
            error=self.error,
        )


_SEEN = ("status", "attempt", "started_at", "finished_at", "output", "error")


@dataclass(frozen=True, slots=True)
class Signal:
    """A named event that came before anybody waited for it."""

    id: str
    name: str
    payload: JsonObject


@dataclass(slots=True)
class Progress:
    """A run up to ``seq``, as a fold of its events."""

    seq: int = 0
    status: RunStatus = "queued"
    paused_reason: PausedReason | None = None
    waiting_on: tuple[JsonObject, ...] = ()
    step: int | None = None
    nodes: dict[str, NodeProgress] = field(default_factory=dict)
    output: Any = None
    error: Fault | None = None
    usage: Usage = field(default_factory=Usage)
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    last_activity_at: Timestamp | None = None
    terminal_event: str | None = None

    epoch: int = 0
    """The seq of the last ``run_claimed``."""

    paused_seq: int = 0
    """The seq of the last ``run_paused``: the point that answers name."""

    cancel: JsonObject | None = None
    """Who asked for the end and why, once somebody has."""

    failed_node: str | None = None
    """The node whose error ends the run."""

    signals: list[Signal] = field(default_factory=list)

    @classmethod
    def of(cls, state: RunState) -> Progress:
        """Progress that goes on from a projection; enough for readers."""
        return cls(
            **{name: getattr(state, name) for name in _SHARED},
            step=state.current_step_index,
            nodes={n: NodeProgress.of(s) for n, s in state.steps_state.items()},
        )

    def node(self, node_id: str | None) -> NodeProgress:
        """The node's progress, made if nothing was said of it yet."""
        known = self.nodes.get(node_id or "")
        if known is None:
            known = self.nodes[node_id or ""] = NodeProgress()

        return known

    def state(self) -> RunState:
        """The projection: what everybody may see, the same for equal events."""
        return RunState(
            **{name: getattr(self, name) for name in _SHARED},
            current_step_index=self.step,
            steps_state={name: node.state() for name, node in self.nodes.items()},
        )


_SHARED = (
    "seq",
    "status",
    "paused_reason",
    "waiting_on",
    "output",
    "error",
    "usage",
    "started_at",
    "finished_at",
    "last_activity_at",
    "terminal_event",
)
