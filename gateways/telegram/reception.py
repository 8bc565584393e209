"""The reception: updates are kept before anybody is told, and heard in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from contracts import DoorRecord, TemporaryError, new_id
from gateways.telegram.accounts import Accounts
from gateways.telegram.hearing import Hearing
from gateways.telegram.office import Office
from gateways.telegram.pressing import Pressing
from gateways.telegram.settings import DOOR
from gateways.telegram.taming import tame
from gateways.telegram.typing import Typing
from gateways.telegram.updates import (
    BadUpdate,
    Heard,
    Ignored,
    Left,
    Moved,
    Pressed,
    Said,
    heard_in,
    id_of,
)

_AT_ONCE = 200


async def keep(office: Office, raw: object) -> bool:
    """Keep an update, so that it is heard once; whether it is new.

    Raises BadUpdate for one without an id, StoreUnavailable.
    """
    bot = office.settings.token.partition(":")[0]
    body = {"raw": tame(raw), "message_id": new_id("msg")}
    _, ours = await office.records.add(
        "update", f"{bot}/{id_of(raw)}", body, is_open=True
    )
    office.came_in.set()
    return ours


class Reception:
    """Hears what is kept: chats beside each other, each in order of arrival."""

    def __init__(self, office: Office, accounts: Accounts, typing: Typing) -> None:
        self._office = office
        self._hearing = Hearing(office, accounts, typing)
        self._pressing = Pressing(office, accounts)
        self._log = structlog.get_logger(DOOR).bind()

    async def work(self) -> None:
        """Hear whatever comes, until cancelled."""
        while True:
            try:
                heard = await self.hear_all()
            except TemporaryError as error:
                self._log.warning("telegram.waits", reason=error.code)
                heard = 0

            if not heard:
                await self._office.rest(self._office.came_in)

    async def hear_all(self) -> int:
        """Hear what waits now; how many were heard for good. Raises TemporaryError."""
        chats: dict[int, list[tuple[DoorRecord, Heard]]] = defaultdict(list)
        for record in await self._office.records.waiting("update", _AT_ONCE):
            heard = self._heard_in(record)
            chats[getattr(heard, "chat_id", 0)].append((record, heard))

        each = (self._hear_chat(updates) for updates in chats.values())
        return sum(await asyncio.gather(*each))

    async def _hear_chat(self, updates: list[tuple[DoorRecord, Heard]]) -> int:
        """Hear a chat's updates; one that must wait keeps those after it waiting."""
        for n, (record, heard) in enumerate(updates):
            try:
                ending = await self._hear(record, heard)
            except TemporaryError as error:
                self._log.warning("telegram.waits", reason=error.code)
                return n
            except Exception as error:  # noqa: BLE001 - one update must not stop all
                self._log.exception(
                    "alarm", alarm="telegram_failed", update=record.name
                )
                ending = f"failed: {getattr(error, 'code', 'internal')}"

            await self._office.records.change(record, is_open=False, ending=ending)
            self._log.info(
                "telegram.heard",
                update=record.name,
                ending=ending,
                correlation_id=record.body["message_id"],
            )

        return len(updates)

    def _heard_in(self, record: DoorRecord) -> Heard:
        try:
            edits = self._office.settings.hear_edits
            return heard_in(record.body["raw"], edits=edits)
        except BadUpdate:
            return Ignored(0, "bad_update")

    async def _hear(self, record: DoorRecord, heard: Heard) -> str:
        match heard:
            case Said():
                return await self._hearing.hear(record, heard)
            case Pressed():
                return await self._pressing.press(record, heard)
            case Left():
                return await self._hearing.left(heard)
            case Moved():
                return await self._hearing.moved(heard)
            case Ignored():
                return f"ignored: {heard.reason}"
