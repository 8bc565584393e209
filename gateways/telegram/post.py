"""The post: texts on their way out, each part sent at most once, chat by chat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from contracts import DoorRecord, TemporaryError
from gateways.telegram.bot_api import BotApiError, message_id_of
from gateways.telegram.chats import id_now, is_gone, leave, move
from gateways.telegram.lanes import Lanes
from gateways.telegram.office import Office
from gateways.telegram.settings import DOOR
from gateways.telegram.shaping import Part, parts_of
from gateways.telegram.statuses import follow
from gateways.telegram.typing import Typing

_AT_ONCE = 500
_PATIENCE_S = 60.0
"""Who must wait longer is parked, and looked at again when its time has come."""

_MOST_TRIES = 10
"""So often Telegram may say that it failed."""

_AWAY = frozenset({"unreachable", "unauthorized"})
"""Nothing was sent, and that is nothing of the text's: it waits as long as it takes."""

CLOSE_S = 5.0
"""So long a call under way may still be answered when the work ends."""


@dataclass(slots=True)
class _Letter:
    """A text while it is sent."""

    record: DoorRecord
    chat_id: int
    parts: list[Part]
    sent: list[int | None]
    """The ids of what was sent; None for a part whose answer was lost."""

    is_plain: bool = False
    """Its formatting was refused."""


class Post:
    """Sends what waits to be sent.

    Guarantees: a part is claimed in the store before its first byte; one whose answer
    was lost counts as ``possibly_sent`` and is not sent again. A chat's texts keep
    their order; a chat that waits holds up no other.
    """

    def __init__(self, office: Office, typing: Typing) -> None:
        self._office = office
        self._typing = typing
        self._lanes = Lanes("send to", office.goes_out)
        self._leaving = False
        self._log = structlog.get_logger(DOOR).bind()

    async def work(self) -> None:
        """Send whatever comes, until cancelled."""
        try:
            await self._office.keep_looking(self.look, self._office.goes_out)
        finally:
            self._leaving = True
            await self._lanes.close(CLOSE_S)

    async def look(self) -> None:
        """Begin to send to every chat that has something waiting."""
        self._office.pacing.forget(self._office.clock.monotonic())
        await self._office.records.until_begun("delivery", _AT_ONCE, self._begin)

    async def _begin(self, waiting: Sequence[DoorRecord]) -> bool:
        """Whether there was a chat to begin with."""
        began, chats = False, defaultdict[str, list[DoorRecord]](list)
        for record in waiting:
            chats[record.body["address"]].append(record)

        for address, records in chats.items():
            if not self._lanes.are_free([address]):
                continue

            chat_id, now = (
                await id_now(self._office, address),
                self._office.clock.monotonic(),
            )
            if self._office.pacing.wait_s(chat_id, now) <= _PATIENCE_S:
                self._lanes.begin([address], partial(self._send_all, records, chat_id))
                began = True

        return began

    async def _send_all(self, records: list[DoorRecord], chat_id: int) -> None:
        for record in records:
            try:
                if not await self._send(record, chat_id):
                    return None
            except TemporaryError as error:
                self._log.warning("telegram.waits", reason=error.code)
                return await self._office.clock.sleep(self._office.settings.look_s)
            except Exception:  # noqa: BLE001 - one text must not stop the others
                self._log.exception(
                    "alarm", alarm="telegram_failed", delivery=record.name
                )
                await self._end(record, "refused", "it could not be sent")

        return None

    async def _send(self, record: DoorRecord, chat_id: int) -> bool:
        """Send the parts that were not sent; False if the chat must wait."""
        if await is_gone(self._office, chat_id):
            reason = "the chat wants no messages"
            await self._end(record, "refused", reason, kind="blocked")
            return True

        parts = parts_of(record.body["text"])
        sent: list[int | None] = list(record.body.get("sent", []))
        if record.body.get("sending") == len(sent):
            sent.append(None)  # whoever sent it died before it was answered

        self._typing.end(chat_id)
        letter = _Letter(record, chat_id, parts, sent)
        while len(sent) < len(parts):
            if not await self._may_write(letter.chat_id):
                return False

            now = {"sent": [*sent], "sending": len(sent)}
            claimed = await self._office.records.change(letter.record, **now)
            if claimed is None:
                return False  # another sends it

            letter.record = claimed
            error = await self._send_part(letter)
            if error is not None and not await self._mend(letter, error):
                return await self._failed(letter, error)

        state = "possibly_sent" if None in sent else "sent"
        await follow(self._office, letter.record, letter.chat_id)
        await self._end(letter.record, state, sent=sent)
        return True

    async def _send_part(self, letter: _Letter) -> BotApiError | None:
        """Send the next part; the error of one that was surely not sent."""
        office, n = self._office, len(letter.sent)
        part, is_last = letter.parts[n], n == len(letter.parts) - 1
        try:
            message = await office.api.call(
                "sendMessage",
                chat_id=letter.chat_id,
                text=part.text,
                entities=None if letter.is_plain else part.entities,
                reply_markup=_markup(letter.record) if is_last else None,
                link_preview_options={"is_disabled": True},
            )
        except BotApiError as error:
            if error.kind != "lost":
                return error

            self._log.warning("telegram.possibly_sent", delivery=letter.record.name)
            letter.sent.append(None)
        else:
            letter.sent.append(message_id_of(message))

        office.pacing.sent(letter.chat_id, office.clock.monotonic())
        return None

    async def _mend(self, letter: _Letter, error: BotApiError) -> bool:
        """Make the next try a better one; False if there is nothing to be done."""
        office = self._office
        if error.kind == "flood":
            now = office.clock.monotonic()
            office.pacing.flooded(letter.chat_id, now, error.retry_after_s)
        elif error.kind == "bad_entities" and not letter.is_plain:
            letter.is_plain = True
        elif error.kind == "migrated" and error.moved_to is not None:
            await move(office, letter.chat_id, error.moved_to)
            letter.chat_id = error.moved_to
        else:
            return False

        given_back = await office.records.change(letter.record, sending=None)
        letter.record = given_back or letter.record
        return True

    async def _may_write(self, chat_id: int) -> bool:
        """Wait for the chat's turn; False if that is long, or the door closes."""
        clock = self._office.clock
        while not self._leaving:
            wait_s = self._office.pacing.wait_s(chat_id, clock.monotonic())
            if not wait_s:
                return True

            if wait_s > _PATIENCE_S:
                return False

            await clock.sleep(wait_s)

        return False

    async def _failed(self, letter: _Letter, error: BotApiError) -> bool:
        """What becomes of a text that was not sent; False if it is tried again."""
        record, kind = letter.record, error.kind
        tries = int(record.body.get("tries", 0)) + 1
        if kind == "blocked":
            await leave(self._office, letter.chat_id)
            await self._end(record, "refused", error.message, kind=kind)
            return True

        is_away = kind in _AWAY
        if is_away or (kind == "server" and tries < _MOST_TRIES):
            self._log.warning("telegram.retries", kind=kind, tries=tries)
            if is_away and tries % _MOST_TRIES == 0:
                self._alarm(record, error)

            now = self._office.clock.monotonic()
            self._office.pacing.flooded(letter.chat_id, now, None)
            await self._office.records.change(record, sending=None, tries=tries)
            return False

        self._alarm(record, error)
        await self._end(record, "refused", error.message, kind=kind)
        return True

    def _alarm(self, record: DoorRecord, error: BotApiError) -> None:
        self._log.error(
            "alarm",
            alarm="telegram_undelivered",
            delivery=record.name,
            reason=error.message,
        )

    async def _end(
        self, record: DoorRecord, state: str, reason: str = "", **more: Any
    ) -> None:
        ended = {"state": state, "reason": reason, "sending": None, **more}
        await self._office.records.change(record, is_open=False, **ended)
        self._log.info(
            "telegram.delivery", delivery=record.name, state=state, reason=reason
        )


def _markup(record: DoorRecord) -> Any:
    buttons = record.body.get("buttons") or []
    if not buttons:
        return None

    row = [{"text": label, "callback_data": id_} for label, id_ in buttons]
    return {"inline_keyboard": [row]}
