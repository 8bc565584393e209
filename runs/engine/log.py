"""The log of one claimed run: what is said next, stored in one append a round.

No append, no call: what is only said here has not happened yet.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from contracts import (
    EVENTS,
    Outcome,
    RunEvent,
    RunEventType,
    RunRow,
    StoreUnavailable,
    Timestamp,
    new_id,
    stamp,
)
from contracts.failpoints import reach
from plans.fold import Progress, apply
from runs.engine.claim import Claim
from runs.engine.ports import Ports
from runs.engine.telling import tell, tell_origin
from store import Append

_claims = count(1)
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 1.0


class RunLog:
    """Says events, folds them at once, and stores them together."""

    def __init__(
        self, ports: Ports, row: RunRow, progress: Progress, claim: Claim
    ) -> None:
        self.row = row
        self.progress = progress
        self.claim = claim
        self._store = ports.store
        self._bus = ports.bus
        self._clock = ports.clock
        self._writer = f"{claim.owner}/{next(_claims)}"
        self._said: list[RunEvent] = []
        self._pattern = RunEvent(
            id=new_id("evt"),
            run_id=row.id,
            seq=1,
            type="run_created",
            channel="lifecycle",
            at=row.created_at,
        )
        self._handled: list[str] = []
        self._outcomes: list[Outcome] = []
        self._at: Timestamp | None = None

    @property
    def at(self) -> Timestamp:
        """The time of this round: equal for everything stored together."""
        if self._at is None:
            self._at = stamp(self._clock.now())

        return self._at

    def begin_round(self) -> None:
        """What is said from now on happens later than what was said before."""
        self._at = None

    @property
    def empty(self) -> bool:
        """Whether nothing was said since the last append."""
        return not self._said

    def say(
        self,
        what: RunEventType,
        node_id: str | None = None,
        attempt: int | None = None,
        /,
        **payload: Any,
    ) -> RunEvent:
        """The next event; the progress knows it at once, the store after ``keep``."""
        event = self._pattern.model_copy(  # all ours, so not checked once more
            update={
                "id": new_id("evt"),
                "seq": self.progress.seq + 1,
                "type": what,
                "channel": EVENTS[what].channel,
                "node_id": node_id,
                "attempt": attempt,
                "at": self.at,
                "payload": payload,
            }
        )
        apply(self.progress, event)
        self._said.append(event)
        return event

    def handle(self, item_id: str) -> None:
        """The next append answers this item of the inbox."""
        self._handled.append(item_id)

    def settle(self, outcome: Outcome) -> None:
        """After the next append this becomes the outcome of a decision."""
        self._outcomes.append(outcome)

    async def keep(
        self, *, release: bool = False, wake_at: Timestamp | None = None
    ) -> None:
        """Store what was said and tell who listens.

        ``release`` ends the claim in the same write and stores the projection.
        Waits for a store that does not answer: the position tells whether the claim
        still holds. Raises SequenceConflict if it was lost.
        """
        events = tuple(self._said)
        append = Append(
            events=events,
            writer=self._writer,
            state=self.progress.state() if release else None,
            wake_at=wake_at,
            handled=tuple(self._handled),
            release=release,
        )
        await self._append(append)
        self._said, self._handled, self._at = [], [], None
        reach("B15")
        tell(self._bus, self.row, self.claim.owner, events)
        await tell_origin(self._bus, self.row, self.claim.owner, events)
        await self._settle()

    async def _append(self, append: Append) -> None:
        delay = _FIRST_DELAY_S
        while True:
            try:
                return await self._store.runs.append(
                    self.row.tenant, self.row.id, append
                )
            except StoreUnavailable:
                pass  # the same write again is harmless

            await self._clock.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY_S)

    async def _settle(self) -> None:
        while self._outcomes:
            outcome = self._outcomes[0]
            try:
                await self._store.decisions.settle(
                    self.row.tenant, outcome.decision_id, outcome, self.at
                )
            except StoreUnavailable:
                return  # the next append, or the sweep, does it

            self._outcomes.pop(0)
