"""A claimed conversation: its inbox is heard, its turns go on, until it rests."""

from __future__ import annotations

import asyncio

from agents.conversation import wording
from agents.conversation.desk import Desk, Means
from agents.conversation.ending import Ending
from agents.conversation.hearing import Hearing
from agents.conversation.lost import LostMail
from agents.conversation.minding import Minding, awaits
from agents.conversation.opening import command_of
from agents.conversation.summing import Summing
from agents.conversation.telling import Telling
from agents.conversation.thinking import thinking_of
from agents.conversation.turns import Book, Turn
from contracts import (
    Approved,
    Awaiting,
    ConversationRow,
    PermanentError,
    Refused,
)

_LOOK_AGAIN_S = 5.0
_LOOK_AT_RUNS_S = 1.0


class Talk:
    """Drives one conversation that is ours.

    Another owner goes on from wherever this one was cut off.
    """

    def __init__(
        self, means: Means, row: ConversationRow, book: Book, owner: str
    ) -> None:
        self.row = row
        self._owner = owner
        self._book = book
        self._desk = Desk(means, row, book, owner)
        self._hearing = Hearing(self._desk)
        self._ending = Ending(self._desk)
        self._telling = Telling(means.store, row.tenant)
        self._minding = Minding(self._desk, self._ending, self._stir)
        self._summing = Summing(self._desk, thinking_of(means), self._stir)
        self._lost = LostMail(self._desk)
        self._bell = asyncio.Event()
        self._left = False
        """Whether something in the inbox waits for the end of a turn."""

        self._leaving = False
        self._quiet_s = 0.0
        """How long nothing has come."""

        self.has_mail = True
        """Whether the inbox was rung for since it was heard."""

        self._desk.may_rest = self._may_rest

    def ring(self) -> None:
        """Something lies in the inbox."""
        self.has_mail = True
        self._stir()

    def _stir(self) -> None:
        """Something has come that the conversation can go on with."""
        self._bell.set()

    @property
    def is_ending(self) -> bool:
        """Whether the claim is being given back with what was said last."""
        return self._desk.log.is_giving_back

    def leave(self) -> None:
        """Begin nothing more."""
        self._leaving = True
        self._bell.set()

    async def hold(self) -> None:
        """Hear and go on until nothing is left to do now, then give it back.

        Raises SequenceConflict if it is somebody else's by now, TemporaryError.
        """
        await self._minding.settle_again()
        await self._look_for_what_is_lost()
        try:
            await self._go_on_until_it_rests()
            await self._minding.hear_out()
        finally:
            await self._minding.hang_up()
            await self._summing.hang_up()

        await self._give_back()

    async def _give_back(self) -> None:
        """Release our claim, unless what was said last did."""
        log = self._desk.log
        if not log.is_given_back:
            await self._desk.means.store.conversations.release(
                self.row.tenant, self.row.id, owner=self._owner, wake_at=log.wake_at
            )

    def _may_rest(self) -> bool:
        """Whether nothing lies in the inbox, and no summary is to be made."""
        return not (self.has_mail or self._left or self._summing.is_due)

    async def _look_for_what_is_lost(self) -> None:
        await self._desk.send_again()
        await self._lost.look()

    async def _go_on_until_it_rests(self) -> None:
        while not self._leaving:
            self._bell.clear()
            if self.has_mail or self._left:
                self.has_mail = False
                self._left = await self._hearing.hear()

            open_ = list(self._book.turns.values())
            for turn in open_:
                await self._go_on(turn)

            await self._desk.log.keep()
            if self._desk.log.is_given_back:
                return

            await self._summing.take()
            if not self._book.turns and not self._left:
                await self._summing.begin()
                if not self._summing.is_under_way:
                    return

            made_room = self._left and len(self._book.turns) < len(open_)
            if not made_room and not self._bell.is_set():
                await self._wait()

    async def _go_on(self, turn: Turn) -> None:
        """As far as the turn can go now."""
        failed, first = turn.failure, turn.first
        if failed is not None:
            error = PermanentError(
                failed.message, code=failed.code, details=failed.details
            )
            await self._ending.fail(turn, error)
        elif (unsendable := self._desk.unsendable_of(turn)) is not None:
            await self._ending.fail(turn, unsendable)
        elif first.verdict is not None or first.outcome is not None:
            await self._go_on_judged(turn)

    async def _go_on_judged(self, turn: Turn) -> None:
        verdict, outcome = turn.first.verdict, turn.first.outcome
        if turn.kind == "flow":
            await self._minding.follow(turn)
        elif turn.kind == "command":
            if turn.first.is_settled:
                waits = [turn.first.decision.id] if awaits(turn.first) else []
                await self._ending.end(turn, wording.told(turn.first), waits)
        elif isinstance(verdict, Refused):
            await self._ending.end(turn, wording.refused(turn.first.decision, verdict))
        elif outcome is not None and outcome.state == "expired":
            await self._ending.fail(turn, PermanentError(code="expired"))
        elif isinstance(verdict, Awaiting):
            told = wording.awaiting(turn.first.decision, verdict)
            await self._ending.end(turn, told, [turn.first.decision.id])
        elif turn.kind == "told":
            await self._ending.end(turn, await self._telling.of(command_of(turn.item)))
        elif isinstance(verdict, Approved):
            await self._minding.go_on(turn, verdict)

    async def _wait(self) -> None:
        """Until something comes, or it is time to look whether something got lost."""
        clock, id_ = self._desk.means.clock, self.row.id
        quick = self._waits_for_runs()
        pause_s = min(_LOOK_AT_RUNS_S, _LOOK_AGAIN_S) if quick else _LOOK_AGAIN_S
        bell = asyncio.create_task(self._bell.wait(), name=f"bell of {id_}")
        sleep = asyncio.create_task(clock.sleep(pause_s), name=f"pause of {id_}")
        try:
            done, _ = await asyncio.wait(
                [bell, sleep], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            bell.cancel()
            sleep.cancel()

        self._quiet_s = 0.0 if bell in done else self._quiet_s + pause_s
        if self._quiet_s >= _LOOK_AGAIN_S:
            self._quiet_s = 0.0
            await self._look_for_what_is_lost()

    def _waits_for_runs(self) -> bool:
        """Whether a turn waits for a run, which may come to wait for a person."""
        turns = self._book.turns.values()
        return any(one.run_id for turn in turns for one in turn.waiting())
