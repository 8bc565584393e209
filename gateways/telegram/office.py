"""What every part of the Telegram door works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from bus import Bus
from contracts import (
    Action,
    Awaiting,
    Channel,
    Clock,
    Decision,
    DoorRecord,
    JsonObject,
    Outcome,
    Principal,
    Proposer,
    Refused,
    TemporaryError,
    Timestamp,
    delivery,
    later,
    stamp,
)
from gateways.counter import GATE_S, Counter
from gateways.telegram.bot_api import BotApi
from gateways.telegram.pacing import Pacing
from gateways.telegram.records import Records
from gateways.telegram.settings import DOOR, TelegramSettings
from store import Store

_log = structlog.get_logger(DOOR)


@dataclass(frozen=True, slots=True)
class Office:
    """The door's means, and the bells that wake its parts."""

    settings: TelegramSettings
    store: Store
    bus: Bus
    clock: Clock
    api: BotApi
    records: Records
    pacing: Pacing = field(default_factory=Pacing)
    came_in: asyncio.Event = field(default_factory=asyncio.Event)
    """An update waits to be heard."""

    goes_out: asyncio.Event = field(default_factory=asyncio.Event)
    """A text waits to be sent."""

    @property
    def tenant(self) -> str:
        """The tenant whose bot this is."""
        return self.settings.tenant

    def at(self) -> Timestamp:
        """Now, as text."""
        return stamp(self.clock.now())

    async def propose(
        self,
        decision_id: str,
        action: Action,
        args: JsonObject,
        by: tuple[Principal, int],
    ) -> Refused | Awaiting | Outcome:
        """What became of a decision; ``by`` is who asks, and in which chat.

        The same id again is the same decision. Raises TemporaryError.
        """
        principal, chat_id = by
        at = self.at()
        decision = Decision(
            id=decision_id,
            action=action,
            args=args,
            proposer=Proposer(kind="user", id=principal.id),
            principal=principal,
            channel=channel_of(chat_id),
            not_after=later(at, GATE_S),
            created_at=at,
        )
        return await Counter(self.bus, self.store.decisions, DOOR).propose(decision)

    async def tell(
        self,
        chat_id: int,
        text: str,
        id_: str,
        buttons: tuple[tuple[str, str], ...] = (),
    ) -> DoorRecord:
        """Lay a text out for a chat; the same id again is the same text."""
        record = delivery(
            text,
            id_=id_,
            tenant=self.tenant,
            channel=channel_of(chat_id),
            at=self.at(),
            buttons=[list(one) for one in buttons],
        )
        stored, _ = await self.store.door_records.add(record)
        self.goes_out.set()
        return stored

    async def keep_looking(
        self, look: Callable[[], Awaitable[None]], bell: asyncio.Event
    ) -> None:
        """Look whenever a bell rings, and now and then, until cancelled."""
        while True:
            try:
                await look()
            except TemporaryError as error:
                _log.warning("telegram.waits", reason=error.code)

            await self.rest(bell)

    async def rest(self, bell: asyncio.Event) -> None:
        """Return when a bell rings, or when it is time to look all the same."""
        sleep = asyncio.create_task(
            self.clock.sleep(self.settings.look_s), name="telegram looks again"
        )
        ring = asyncio.create_task(bell.wait(), name="telegram bell")
        try:
            await asyncio.wait({sleep, ring}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            ring.cancel()
            bell.clear()


def channel_of(chat_id: int) -> Channel:
    """A chat as decisions and conversations name it."""
    return Channel(kind=DOOR, address=str(chat_id))
