"""Ending a turn: the reply, and all that the turn leaves behind, at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.conversation import wording
from agents.conversation.desk import Desk
from agents.conversation.turns import Proposed, Turn, run_of
from contracts import (
    ENDED,
    Approved,
    ChatMessage,
    Fault,
    JsonObject,
    Outcome,
    PermanentError,
    Recollection,
    Refused,
    TurnEventType,
    derived_id,
)
from contracts.failpoints import reach

_MOST_CHARS = 200_000
"""A reply is at most so long; more of it is cut."""

_CARRIED_OUT_ELSEWHERE = frozenset({"command", "flow"})
"""Turns whose first decision is an action that the run entry settles."""


class Ending:
    """Ends turns of one conversation."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._means = desk.means
        self._row = desk.row
        self._book = desk.book
        self._log = desk.log

    async def end(
        self,
        turn: Turn,
        reply: str,
        waits: Iterable[str] = (),
        *,
        cached_state: JsonObject | None = None,
    ) -> None:
        """Reply, and write all that the turn leaves behind at once.

        ``cached_state`` takes the place of what the conversation's flow remembered.
        """
        reply = reply if len(reply) <= _MOST_CHARS else f"{reply[:_MOST_CHARS]}…"
        if turn.reply is None:
            self._log.say(turn.id, "reply_made", text=reply)
            if self._desk.delivers:  # else the end of the turn is what people read
                await self._log.keep()

            reach("C6")

        reply = turn.reply or reply
        letter = derived_id("msg", turn.id, "reply")
        await self._desk.deliver(reply, letter, turn.correlation_id, _left_open(turn))
        proposed = [one.decision.id for one in turn.proposed()]
        runs = [one.run_id for one in turn.proposed() if one.run_id]
        told = {
            "reply": {"text": reply, "buttons": []},
            "decisions": proposed,
            "runs": runs,
            "approved": isinstance(turn.first.verdict, Approved),
        }
        if turn.kind not in _CARRIED_OUT_ELSEWHERE:
            outcome = Outcome(
                decision_id=turn.first.decision.id, state="succeeded", result=told
            )
            await self._settle_decision(turn, outcome)

        open_runs = [one.run_id for one in turn.proposed() if _goes_on(one)]
        waits = [*waits, *open_runs]
        messages = self._messages(turn, reply)
        what: TurnEventType = "turn_awaiting" if waits else "turn_ended"
        self._log.say(turn.id, what, **told, waits=waits, messages=len(messages))
        recollection = self._recollection(cached_state)
        await self._log.keep(
            messages=messages,
            recollection=recollection,
            give_back=self._may_give_back(),
        )
        self._desk.tell_of_end()
        reach("C7")
        await self._desk.remember(messages)
        self._desk.lines.info("turn.ended", turn_id=turn.id, ending=what)

    def _may_give_back(self) -> bool:
        """Whether our claim may end with the end of this turn."""
        return not self._book.turns and self._desk.may_rest()

    def _recollection(self, cached_state: JsonObject | None) -> Recollection | None:
        """What the conversation carries on; None if it is what it was."""
        if cached_state is None:
            return None

        update = {"cached_state": cached_state}
        changed = self._desk.recollection.model_copy(update=update)
        self._desk.recollection = changed
        return changed

    async def fail(self, turn: Turn, error: PermanentError) -> None:
        """Say that the turn failed; nothing of it is remembered but its log.

        What it began goes on, and the conversation hears of its end.
        """
        notes = wording.notes(turn.proposed())
        reply = "\n\n".join([wording.sorry(error.code), *notes])[:_MOST_CHARS]
        waits = [one for one in map(_left_waiting, _begun(turn)) if one]
        fault = Fault.of(error).plain()
        if self._desk.delivers:
            if turn.failure is None:
                self._log.say(turn.id, "reply_made", text=reply, error=fault)
                await self._log.keep()

            letter = derived_id("msg", turn.id, "failed")
            await self._desk.deliver(reply, letter, turn.correlation_id)

        outcome = Outcome(
            decision_id=turn.first.decision.id, state="failed", error=Fault.of(error)
        )
        if turn.kind not in _CARRIED_OUT_ELSEWHERE:
            await self._settle_decision(turn, outcome)

        told = {"text": reply, "buttons": []}
        self._log.say(turn.id, "turn_failed", reply=told, error=fault, waits=waits)
        await self._log.keep(give_back=self._may_give_back())
        self._desk.tell_of_end()
        self._desk.lines.warning("turn.failed", turn_id=turn.id, code=error.code)

    async def _settle_decision(self, turn: Turn, outcome: Outcome) -> None:
        """End the decision of a turn that the gate approved."""
        if isinstance(turn.first.verdict, Approved):
            await self._means.store.decisions.settle(
                self._row.tenant, outcome.decision_id, outcome, self._log.at
            )

    def _messages(self, turn: Turn, reply: str) -> list[ChatMessage]:
        n, at = self._book.messages, self._log.at
        said_: list[tuple[Any, str]] = [("assistant", reply)]
        if turn.kind != "continuation":
            said_.insert(0, ("user", turn.item.body["text"]))

        return [
            ChatMessage(n=n + place, role=role, text=text, at=at)
            for place, (role, text) in enumerate(said_, 1)
        ]


def _begun(turn: Turn) -> Iterable[Proposed]:
    """What a turn's model, or its flow, had proposed."""
    own = turn.kind in _CARRIED_OUT_ELSEWHERE
    return [one for one in turn.proposed() if own or one is not turn.first]


def _left_waiting(one: Proposed) -> str:
    """What is still to come of a proposal: its run, or the decision; empty: nothing."""
    if one.run_id:
        ended = one.run is not None and one.run.get("status") in ENDED
        return "" if ended else one.run_id

    is_refused = isinstance(one.verdict, Refused)
    return "" if is_refused or one.outcome is not None else one.decision.id


def _left_open(turn: Turn) -> list[str]:
    """The runs that the turn does not wait for, though a person may."""
    begun = turn.first.outcome if turn.kind == "command" else None
    run_id = run_of(begun.plain()) if begun is not None else ""
    if run_id and turn.first.decision.action == "workflow.run":
        return [run_id]

    return [one.run_id for one in turn.proposed() if _goes_on(one)]


def _goes_on(one: Proposed) -> bool:
    """Whether a run of the turn had not ended when the model was told of it."""
    return one.run is not None and one.run.get("status") not in ENDED
