"""A turn log, folded: which turns are open, and how far each of them is; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic_core import to_json

from contracts import (
    ENDS_TURN,
    Approved,
    ConversationState,
    Decision,
    Fault,
    FunctionCall,
    InboxItem,
    JsonObject,
    ModelAnswer,
    Outcome,
    TurnEvent,
    Verdict,
    derived_id,
    read,
)

TurnKind = Literal["talk", "continuation", "command", "told", "flow"]
"""``told`` is answered with a text of ours, ``flow`` by the run of an agent flow."""

_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)


@dataclass(slots=True)
class Proposed:
    """A decision that a turn proposed, and what came of it."""

    decision: Decision
    verdict: Verdict | None = None
    outcome: Outcome | None = None
    run_id: str = ""
    run: JsonObject | None = None
    """How its run ended, or that it goes on: what the model is told."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is waited for within the turn."""
        if self.run_id:
            return self.run is not None

        if self.outcome is not None:
            return True

        return self.verdict is not None and not isinstance(self.verdict, Approved)


@dataclass(slots=True)
class Step:
    """One answer of the model, and what became of the functions it called."""

    answer: ModelAnswer
    proposed: dict[str, Proposed] = field(default_factory=dict)
    """By the id of the call."""

    results: dict[str, str] = field(default_factory=dict)
    """Of calls that never became a decision."""

    questions: dict[str, str] = field(default_factory=dict)
    """What the person is asked, by the id of the call; it ends the turn."""

    is_proposed: bool = False

    def calls(self) -> Iterable[tuple[FunctionCall, Proposed | None]]:
        """Each call with its decision."""
        return ((one, self.proposed.get(one.call_id)) for one in self.answer.calls)


@dataclass(slots=True)
class Turn:
    """A turn that has not ended."""

    id: str
    kind: TurnKind
    item: InboxItem
    first: Proposed
    correlation_id: str = ""
    """The chain of messages that it belongs to."""

    context: JsonObject = field(default_factory=dict)
    """Of a continuation: what has come of what was waited for."""

    steps: list[Step] = field(default_factory=list)
    asked: int = 0
    """Calls of the model that were begun."""

    reserved: dict[str, str] = field(default_factory=dict)
    """What was set aside for the last of them: the meter by the id."""

    reply: str | None = None
    failure: Fault | None = None
    """Why the turn fails, if its reply says so."""

    def waiting(self) -> Iterable[Proposed]:
        """Decisions of the turn whose end is still to come."""
        if self.kind in ("command", "flow") and not self.first.is_settled:
            yield self.first

        for step in self.steps:
            yield from (one for one in step.proposed.values() if not one.is_settled)

    def proposed(self) -> Iterable[Proposed]:
        """Every decision of the turn."""
        yield self.first
        for step in self.steps:
            yield from step.proposed.values()

    @property
    def is_thinking(self) -> bool:
        """Whether text that comes meanwhile waits for its end."""
        return self.kind in ("talk", "continuation", "flow")


class Book:
    """What a conversation's log says, kept up to date event by event."""

    def __init__(self, state: ConversationState, tail: Iterable[TurnEvent]) -> None:
        self.seq = state.seq
        self.count = state.turns
        self.messages = state.messages
        self.waiting = dict(state.waiting)
        self.turns: dict[str, Turn] = {}
        for event in tail:
            self.apply(event)

    @property
    def state(self) -> ConversationState | None:
        """The projection, once no turn is open."""
        if self.turns:
            return None

        return ConversationState(
            seq=self.seq,
            turns=self.count,
            messages=self.messages,
            waiting=self.waiting,
        )

    @property
    def thinking(self) -> Turn | None:
        """The one turn that thinks, if one does."""
        return next((one for one in self.turns.values() if one.is_thinking), None)

    def apply(self, event: TurnEvent) -> None:
        """Take in what was said."""
        self.seq = event.seq
        payload = event.payload
        if event.type == "turn_proposed":
            self._open(event)
        elif event.type in ENDS_TURN:
            self._end(event)
        elif event.turn_id in self.turns:
            _TAKE[event.type](self.turns[event.turn_id], payload)

        if event.type == "decision_heard":
            self._pass_on(payload)

    def turn_of(self, decision_id: str) -> Turn | None:
        """The open turn that proposed a decision."""
        for turn in self.turns.values():
            if any(one.decision.id == decision_id for one in turn.proposed()):
                return turn

        return None

    def may_become(self, run_id: str) -> bool:
        """Whether a decision that is waited for may have become this run."""
        open_ = [
            one.decision.id
            for turn in self.turns.values()
            for one in turn.proposed()
            if one.outcome is None
        ]
        waiting = [name for name in self.waiting if name.startswith("dec_")]
        return any(derived_id("run", one, "0") == run_id for one in (*open_, *waiting))

    def turn_of_run(self, run_id: str) -> Turn | None:
        """The open turn that waits for a run."""
        for turn in self.turns.values():
            if any(one.run_id == run_id and one.run is None for one in turn.waiting()):
                return turn

        return None

    def _open(self, event: TurnEvent) -> None:
        payload = event.payload
        decision = read(Decision, payload["decision"])
        self.turns[event.turn_id] = Turn(
            id=event.turn_id,
            kind=payload["kind"],
            item=read(InboxItem, payload["item"]),
            first=Proposed(decision),
            correlation_id=payload["correlation_id"],
            context=payload.get("context", {}),
        )
        for name in payload.get("ends", ()):
            self.waiting.pop(name, None)

    def _end(self, event: TurnEvent) -> None:
        self.turns.pop(event.turn_id, None)
        self.count += 1
        self.messages += event.payload.get("messages", 0)
        for name in event.payload.get("waits", ()):
            self.waiting[name] = event.turn_id

    def _pass_on(self, payload: JsonObject) -> None:
        """What is waited for becomes the run that came of it, or nothing more."""
        turn_id = self.waiting.get(payload["decision_id"])
        outcome = payload.get("outcome")
        if turn_id is None or outcome is None:
            return

        del self.waiting[payload["decision_id"]]
        run_id = run_of(outcome)
        if run_id:
            self.waiting[run_id] = turn_id


def run_of(outcome: Any) -> str:
    """The run that an outcome names; empty if none."""
    result = outcome.get("result")
    found = result.get("run_id") if isinstance(result, dict) else None
    return found if isinstance(found, str) and outcome["state"] == "succeeded" else ""


def _heard(turn: Turn, payload: JsonObject) -> None:
    for one in turn.proposed():
        if one.decision.id == payload["decision_id"]:
            if payload.get("verdict") is not None:
                verdict = _VERDICT.validate_json(to_json(payload["verdict"]))
                one.verdict = verdict

            if payload.get("outcome") is not None:
                one.outcome = read(Outcome, payload["outcome"])
                follows = turn.kind != "command"
                one.run_id = run_of(payload["outcome"]) if follows else ""


def _run_heard(turn: Turn, payload: JsonObject) -> None:
    for one in turn.proposed():
        if one.run_id == payload["run_id"]:
            one.run = payload["told"]


def _requested(turn: Turn, payload: JsonObject) -> None:
    turn.asked, turn.reserved = payload["step"], payload["reserved"]


def _answered(turn: Turn, payload: JsonObject) -> None:
    answer = read(ModelAnswer, payload["answer"])
    turn.steps.append(Step(answer))


def _proposed(turn: Turn, payload: JsonObject) -> None:
    step = turn.steps[-1]
    step.is_proposed = True
    for call_id, decision in payload["decisions"].items():
        step.proposed[call_id] = Proposed(read(Decision, decision))

    step.results |= payload["results"]
    step.questions |= payload.get("questions", {})


def _replied(turn: Turn, payload: JsonObject) -> None:
    turn.reply = payload["text"]
    if "error" in payload:
        turn.failure = read(Fault, payload["error"])


def _nothing(turn: Turn, payload: JsonObject) -> None:
    """An event that tells people more than the fold."""


_TAKE = {
    "model_request": _requested,
    "model_response": _answered,
    "model_error": _nothing,
    "decision_proposed": _proposed,
    "decision_heard": _heard,
    "run_heard": _run_heard,
    "reply_made": _replied,
    "reply_delivered": _nothing,
}
