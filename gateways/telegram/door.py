"""The Telegram door while it is open: one process of many works, the others wait."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog

from bus import Bus
from contracts import Clock, Envelope, TemporaryError, later
from gateways.telegram.accounts import Accounts
from gateways.telegram.bot_api import BotApi, BotApiError
from gateways.telegram.office import Office
from gateways.telegram.polling import KINDS, Polling
from gateways.telegram.post import CLOSE_S, Post
from gateways.telegram.pressing import Asking
from gateways.telegram.reception import Reception
from gateways.telegram.records import Records
from gateways.telegram.settings import DOOR, TelegramSettings
from gateways.telegram.statuses import Statuses
from gateways.telegram.typing import Typing
from store import Store

_RENEWALS = 5
_ASK_S = 1.0
_LOOK_AT_RUNS_S = 1.0
_EXPIRE_S = 3_600.0

_Work = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def open_telegram(
    settings: TelegramSettings, store: Store, bus: Bus, clock: Clock
) -> AsyncIterator[Office]:
    """Open the door; while the context lasts what comes is heard and answered."""
    opening = BotApi.open(settings.token, settings.base_url, settings.deadline_s)
    async with opening as api:
        records = Records(store.door_records, settings.tenant, clock)
        office = Office(settings, store, bus, clock, api, records)
        subscription = bus.subscribe("deliver", DOOR, lambda one: _ring(office, one))
        task = asyncio.create_task(_Shift(office).keep(), name="telegram")
        try:
            yield office
        finally:
            await subscription.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _ring(office: Office, _: Envelope) -> None:
    office.goes_out.set()


class _Shift:
    """Works while this process holds the lease of the bot, and not otherwise."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._settings = office.settings
        self._lease = f"telegram:{office.tenant}"
        self._owner = f"telegram-{secrets.token_hex(8)}"
        self._log = structlog.get_logger(DOOR).bind()

    async def keep(self) -> None:
        """Wait for the lease, work, and begin again if it is lost."""
        while True:
            if await self._take():
                await self._work()

            await self._pause()

    async def _work(self) -> None:
        """Every part at once, until the lease is lost."""
        self._log.info("telegram.working", mode=self._settings.mode)
        typing = Typing(self._office.api, self._office.clock)
        accounts = Accounts(self._office)
        parts: dict[str, _Work] = {
            "reception": Reception(self._office, accounts, typing).work,
            "post": Post(self._office, typing).work,
            "asking": self._again(Asking(self._office, accounts).ask, _ASK_S),
            "statuses": self._again(Statuses(self._office).look, _LOOK_AT_RUNS_S),
            "forgetting": self._again(self._forget, _EXPIRE_S),
            "lease": self._renew,
        }
        if self._settings.mode == "polling":
            parts["polling"] = Polling(self._office).work
        elif self._settings.webhook_url:
            parts["webhook"] = self._set_webhook

        tasks = [
            asyncio.create_task(work(), name=f"telegram {name}")
            for name, work in parts.items()
        ]
        try:
            await asyncio.wait(
                [one for one in tasks if one.get_name() != "telegram webhook"],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in tasks:
                task.cancel()

            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await typing.close()
            for error in ended:
                if isinstance(error, Exception):
                    self._log.error("alarm", alarm="telegram_failed", exc_info=error)

    async def _take(self) -> bool:
        now = self._office.at()
        until = later(now, self._settings.lease_s)
        try:
            with anyio.fail_after(self._settings.lease_s / _RENEWALS):
                return await self._office.store.workers.lease(
                    self._lease, self._owner, now=now, until=until
                )
        except (TemporaryError, TimeoutError):
            return False

    async def _renew(self) -> None:
        """Return when the lease is lost, while there is still time to end calls."""
        clock, good_s = self._office.clock, self._settings.lease_s - CLOSE_S
        good_until = clock.monotonic() + good_s
        while clock.monotonic() < good_until:
            await self._pause()
            asked = clock.monotonic()
            if await self._take():
                good_until = asked + good_s

    async def _pause(self) -> None:
        await self._office.clock.sleep(self._settings.lease_s / _RENEWALS)

    def _again(self, do: _Work, every_s: float) -> _Work:
        async def work() -> None:
            while True:
                try:
                    await do()
                except TemporaryError as error:
                    self._log.warning("telegram.waits", reason=error.code)

                await self._office.clock.sleep(every_s)

        return work

    async def _forget(self) -> None:
        await self._office.store.door_records.expire(self._office.at())

    async def _set_webhook(self) -> None:
        """Tell Telegram where to bring updates; until it has heard."""
        pause_s = 1.0
        while True:
            try:
                await self._office.api.call(
                    "setWebhook",
                    url=self._settings.webhook_url,
                    secret_token=self._settings.secret,
                    allowed_updates=KINDS,
                )
                return
            except BotApiError as error:
                self._log.warning("telegram.webhook", reason=error.message)
                await self._office.clock.sleep(pause_s)
                pause_s = min(pause_s * 2, 60.0)
