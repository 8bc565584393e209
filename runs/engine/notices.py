"""Notices: a text for the run's chat while the run goes on, laid out once."""

from __future__ import annotations

from typing import NamedTuple

from bus import Bus
from contracts import (
    BusUnavailable,
    Clock,
    Deliver,
    Fault,
    RunRow,
    StoreUnavailable,
    delivery,
    derived_id,
    said,
    stamp,
)
from runs.effects import CallResult, Retryable, Succeeded
from store import Store

_SHOWN_CHARS = 4_096


class Notice(NamedTuple):
    """A text that may be laid out now: its intent is in the run's log."""

    run: RunRow
    node_id: str
    text: str

    @property
    def run_id(self) -> str:
        """The run that tells it."""
        return self.run.id


class Notices:
    """Lays texts out for the door of the chat that a run came from.

    A run without a chat tells nobody, and its node says so: ``delivery_id`` is null.
    """

    def __init__(self, store: Store, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def send(self, notice: Notice) -> CallResult:
        """Lay a text out; the same notice again is the same text."""
        try:
            return Succeeded({"delivery_id": await self._lay_out(notice)})
        except StoreUnavailable as error:
            return Retryable(Fault.of(error))

    async def _lay_out(self, notice: Notice) -> str | None:
        run, conversations = notice.run, self._store.conversations
        if run.origin.kind != "conversation":
            return None

        row = await conversations.get(run.tenant, run.origin.id)
        if row is None or row.channel.kind == "http":
            return None

        at = stamp(self._clock.now())
        id_ = derived_id("msg", run.id, "notify", notice.node_id)
        record = delivery(
            notice.text,
            id_=id_,
            tenant=run.tenant,
            channel=row.channel,
            at=at,
            conversation_id=row.id,
            correlation_id=run.correlation_id,
        )
        await self._store.door_records.add(record)
        letter = Deliver(
            id=id_, conversation_id=row.id, text=notice.text[:_SHOWN_CHARS]
        )
        hint = said(
            letter,
            by="run",
            tenant=run.tenant,
            at=at,
            correlation_id=run.correlation_id,
        )
        try:
            await self._bus.publish(hint)
        except BusUnavailable:
            return id_  # the door looks by itself

        return id_
