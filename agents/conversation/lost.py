"""Lost mail: what came of a proposal is looked up where nobody told of it."""

from __future__ import annotations

from collections.abc import Iterator

from agents.conversation.desk import Desk
from agents.mail import Mail
from contracts import ENDED, RunEnded


class LostMail:
    """Lays into the inbox once more what should long lie there.

    Whoever judges or performs tells of it after it is durable, and may die between.
    An item that lies there already stays one item.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        means = desk.means
        self._store = means.store
        self._mail = Mail(means.store.conversations, means.bus, means.clock)

    async def look(self) -> None:
        """Look up everything that is waited for. Raises StoreUnavailable."""
        for decision_id in self._decisions():
            await self._look_up(decision_id)

        for run_id in self._runs():
            await self._look_at(run_id)

    def _decisions(self) -> Iterator[str]:
        book = self._desk.book
        for turn in book.turns.values():
            if turn.first.verdict is None:
                yield turn.first.decision.id

            yield from (one.decision.id for one in turn.waiting() if not one.outcome)

        yield from [name for name in book.waiting if name.startswith("dec_")]

    def _runs(self) -> Iterator[str]:
        book = self._desk.book
        for turn in book.turns.values():
            yield from (one.run_id for one in turn.waiting() if one.run_id)

        yield from [name for name in book.waiting if name.startswith("run_")]

    async def _look_up(self, decision_id: str) -> None:
        record = await self._store.decisions.get(self._desk.row.tenant, decision_id)
        if record is None:
            return

        await self._mail.verdict(record, record.verdict)
        if record.outcome is not None:
            await self._mail.outcome(record, record.outcome)

    async def _look_at(self, run_id: str) -> None:
        run = await self._store.runs.get(self._desk.row.tenant, run_id)
        if run is not None and run.state.status in ENDED:
            ended = RunEnded(run_id=run.id, status=run.state.status, origin=run.origin)
            chain = run.correlation_id
            await self._mail.run_ended(run.tenant, ended, chain=chain)
