"""Releasing: a recorded verdict goes to who carries it out and to who asked."""

from __future__ import annotations

from typing import NamedTuple, Self

import structlog

from agents.mail import Mail
from bus import Bus
from contracts import (
    Approved,
    Clock,
    DecisionRecord,
    Envelope,
    InboxItem,
    Outcome,
    Timestamp,
    Verdict,
    said,
    stamp,
)
from contracts.envelope import RunNudged
from contracts.failpoints import reach
from store import Store

NAME = "coordinator"
"""The sender of everything the coordinator says."""

_GROUPS = ("workflow", "conversation")
_CALM = 100


class Asker(NamedTuple):
    """Who waits for an answer, to which message."""

    message_id: str
    reply_to: str | None
    correlation_id: str
    traceparent: str | None = None

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Whoever sent this message."""
        return cls(
            envelope.id,
            envelope.reply_to,
            envelope.correlation_id,
            envelope.traceparent,
        )

    @classmethod
    def then(cls, record: DecisionRecord) -> Self:
        """Whoever asked when the decision was recorded; they may have gone."""
        return cls(record.message_id, record.reply_to, record.correlation_id)


class Releases:
    """Sends verdicts and outcomes; what it sends twice does no harm."""

    def __init__(self, store: Store, bus: Bus, clock: Clock) -> None:
        self._runs = store.runs
        self._mail = Mail(store.conversations, bus, clock)
        self._bus = bus
        self._clock = clock
        self._log = structlog.get_logger(NAME).bind()

    async def is_calm(self) -> bool:
        """Whether verdicts released before now have most likely been handled.

        Raises BusUnavailable.
        """
        groups = await self._bus.groups()
        named = (groups.get(f"verdict/{group}") for group in _GROUPS)
        return all(group.waiting < _CALM for group in named if group is not None)

    async def verdict(
        self, record: DecisionRecord, verdict: Verdict, asker: Asker
    ) -> None:
        """Release a verdict that is in the store.

        Who asked hears it; a run hears of every verdict in its inbox; other approved
        decisions go to the agent of their audience. A dry run goes no further than
        to who asked. Raises StoreUnavailable, BusUnavailable.
        """
        await self.again(record, verdict, asker)
        if _is_for_an_agent(record, verdict):
            at = stamp(self._clock.now())
            await self._bus.publish(self._envelope(record, verdict, asker, at))
            reach("B4")

        self._log.info(
            "verdict.released",
            decision_id=record.id,
            verdict_id=verdict.id,
            result=verdict.result,
            correlation_id=record.correlation_id,
        )

    async def again(
        self, record: DecisionRecord, verdict: Verdict, asker: Asker
    ) -> None:
        """Tell a verdict to who asked, and to no agent. Raises StoreUnavailable."""
        at = stamp(self._clock.now())
        await self._reply(record, verdict, asker, at)
        if record.decision.proposer.kind == "run" and not record.decision.dry_run:
            await self.to_run(record, verdict, asked_by=asker.message_id)

        await self._mail.verdict(record, verdict)

    async def to_conversation(self, record: DecisionRecord, verdict: Verdict) -> bool:
        """Lay a verdict into the inbox of the conversation; whether it is new.

        Raises StoreUnavailable.
        """
        return await self._mail.verdict(record, verdict)

    async def to_run(
        self, record: DecisionRecord, verdict: Verdict, *, asked_by: str = ""
    ) -> bool:
        """Lay a verdict into the inbox of the run that proposed; whether it is new.

        A run that asks again, by another message, lost what it heard before: it gets
        the verdict as a new item. Raises StoreUnavailable.
        """
        at, body = stamp(self._clock.now()), verdict.plain()
        again = f":{asked_by}" if asked_by not in ("", record.message_id) else ""
        item_id = f"verdict:{verdict.id}{again}"
        item = InboxItem(id=item_id, kind="verdict", at=at, body=body)
        return await self._put(record, item)

    async def outcome(
        self, record: DecisionRecord, outcome: Outcome, asker: Asker
    ) -> None:
        """Tell the proposer what came of a decision that the coordinator ended.

        Raises StoreUnavailable.
        """
        at = stamp(self._clock.now())
        if record.decision.proposer.kind == "run":
            item_id, body = f"outcome:{record.id}", outcome.plain()
            item = InboxItem(id=item_id, kind="outcome", at=at, body=body)
            await self._put(record, item)

        await self._mail.outcome(record, outcome)
        await self._reply(record, outcome, asker, at)

    async def _put(self, record: DecisionRecord, item: InboxItem) -> bool:
        run_id = record.decision.run_id or ""
        if not await self._runs.put(record.tenant, run_id, item):
            return False

        self._bus.broadcast(
            "nudge",
            lambda: said(
                RunNudged(run_id=run_id),
                by=NAME,
                tenant=record.tenant,
                at=item.at,
                correlation_id=record.correlation_id,
            ),
        )
        return True

    async def _reply(
        self,
        record: DecisionRecord,
        body: Verdict | Outcome,
        asker: Asker,
        at: Timestamp,
    ) -> None:
        if asker.reply_to is not None:
            envelope = self._envelope(record, body, asker, at)
            await self._bus.reply(asker.reply_to, envelope)

    def _envelope(
        self,
        record: DecisionRecord,
        body: Verdict | Outcome,
        asker: Asker,
        at: Timestamp,
    ) -> Envelope:
        return said(
            body,
            by=NAME,
            tenant=record.tenant,
            at=at,
            correlation_id=asker.correlation_id,
            causation_id=asker.message_id,
            in_reply_to=asker.message_id,
            reply_to=asker.reply_to,
            traceparent=asker.traceparent,
        )


def _is_for_an_agent(record: DecisionRecord, verdict: Verdict) -> bool:
    """Whether somebody else carries the decision out, and is told by message."""
    if not isinstance(verdict, Approved) or record.decision.dry_run:
        return False

    return record.decision.proposer.kind != "run" and verdict.audience == "workflow"
