"""The reception: updates are kept before anybody is told, and heard in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import structlog

from contracts import DoorRecord, TemporaryError, new_id
from gateways.telegram.accounts import Accounts
from gateways.telegram.hearing import Hearing
from gateways.telegram.lanes import Lanes
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

_Update = tuple[DoorRecord, Heard]


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
        self._lanes = Lanes("hear in", office.came_in)
        self._log = structlog.get_logger(DOOR).bind()

    async def work(self) -> None:
        """Hear whatever comes, until cancelled."""
        try:
            await self._office.keep_looking(self.look, self._office.came_in)
        finally:
            await self._lanes.close()

    async def look(self) -> None:
        """Begin to hear every chat that nobody hears yet. Raises TemporaryError."""
        await self._office.records.until_begun("update", _AT_ONCE, self._begin)

    async def _begin(self, waiting: Sequence[DoorRecord]) -> bool:
        """Whether there was a chat to begin with."""
        began = False
        for chats, updates in _by_chat([(one, self._heard_in(one)) for one in waiting]):
            if self._lanes.are_free(chats):
                self._lanes.begin(chats, partial(self._hear_chat, updates))
                began = True

        return began

    async def _hear_chat(self, updates: list[_Update]) -> None:
        """Hear a chat's updates; one that must wait keeps those after it waiting."""
        for record, heard in updates:
            try:
                ending = await self._hear_one(record, heard)
                await self._office.records.change(record, is_open=False, ending=ending)
            except TemporaryError as error:
                self._log.warning("telegram.waits", reason=error.code)
                return await self._office.clock.sleep(self._office.settings.look_s)

            self._log.info(
                "telegram.heard",
                update=record.name,
                ending=ending,
                correlation_id=record.body["message_id"],
            )

        return None

    async def _hear_one(self, record: DoorRecord, heard: Heard) -> str:
        """How it ended; a bug of ours ends it too. Raises TemporaryError."""
        try:
            return await self._hear(record, heard)
        except TemporaryError:
            raise
        except Exception as error:  # noqa: BLE001 - one update must not stop all
            self._log.exception("alarm", alarm="telegram_failed", update=record.name)
            return f"failed: {getattr(error, 'code', 'internal')}"

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


def _by_chat(updates: list[_Update]) -> list[tuple[frozenset[int], list[_Update]]]:
    """Updates of each chat, with the chats that must be heard together; pure.

    A group that moves is heard under both of its ids, so that its order stays.
    """
    was = {
        heard.new_chat_id: heard.chat_id
        for _, heard in updates
        if isinstance(heard, Moved)
    }
    found: dict[int, list[_Update]] = defaultdict(list)
    for update in updates:
        chat_id = getattr(update[1], "chat_id", 0)
        found[was.get(chat_id, chat_id)].append(update)

    now = {before: after for after, before in was.items()}
    return [
        (frozenset({chat_id, now.get(chat_id, chat_id)}), group)
        for chat_id, group in found.items()
    ]
