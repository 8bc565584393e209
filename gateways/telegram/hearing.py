"""Hearing: what a person wrote lies in the inbox of the chat's conversation, once."""

from __future__ import annotations

from typing import Any

import structlog

from contracts import (
    LIMITS,
    ConversationRow,
    DoorRecord,
    Fault,
    InboxItem,
    Outcome,
    Principal,
    Refused,
    TemporaryError,
    UserSpoke,
    derived_id,
    said,
)
from gateways.telegram.accounts import Accounts
from gateways.telegram.chats import addresses_of, come_back, leave, move
from gateways.telegram.office import Office, channel_of
from gateways.telegram.settings import DOOR
from gateways.telegram.texts import start_in, tidy
from gateways.telegram.typing import Typing
from gateways.telegram.updates import File, Left, Moved, Said

STRANGER = (
    "This chat is not linked to anybody here. Ask for a code, and send it with /start."
)
_BOUND = "Welcome. This account is linked; write what you want, or /help."
_NOT_BOUND = "This code cannot be used. Ask for a new one."
_NO_TEXT = "Only text is read here. Write what you want."
_TOO_LARGE = "This file is larger than 20 MB and cannot be read (file_too_large)."
_NO_START = "Send /start with the code that you were given, and nothing else."
_HOUR = 13
"""Of a timestamp's characters, those up to the hour."""


class Hearing:
    """Takes in what people write. Every step may be made again."""

    def __init__(self, office: Office, accounts: Accounts, typing: Typing) -> None:
        self._office = office
        self._accounts = accounts
        self._typing = typing
        self._log = structlog.get_logger(DOOR).bind()

    async def hear(self, record: DoorRecord, heard: Said) -> str:
        """Take in a message; how it ended, for the record. Raises TemporaryError."""
        await come_back(self._office, heard.chat_id)
        text = tidy(heard.text)
        start = start_in(text)
        if start is not None and (start.payload or not start.is_valid):
            return await self._bind(record, heard, start.payload, ok=start.is_valid)

        principal = await self._accounts.of(heard.user_id)
        if principal is None:
            hour = record.at[:_HOUR]
            await self._office.tell(
                heard.chat_id, STRANGER, f"stranger:{heard.chat_id}:{hour}"
            )
            return "stranger"

        if not text or (heard.file is not None and heard.file.is_too_large):
            hint_id = _album_id(heard) or _reply_id(record)
            await self._office.tell(heard.chat_id, _hint(heard.file), hint_id)
            return "hint"

        return await self._say(record, heard, principal, text)

    async def left(self, heard: Left) -> str:
        """A chat wants messages no more, or wants them again."""
        if not heard.is_gone:
            await come_back(self._office, heard.chat_id)
            return "back"

        await leave(self._office, heard.chat_id)
        return "gone"

    async def moved(self, heard: Moved) -> str:
        """A group has another id: its conversation goes on there."""
        await move(self._office, heard.chat_id, heard.new_chat_id)
        return "moved"

    async def _say(
        self, record: DoorRecord, heard: Said, principal: Principal, text: str
    ) -> str:
        row = await self._conversation(record, heard, principal)
        if not isinstance(row, ConversationRow):
            await self._office.tell(heard.chat_id, row, _reply_id(record))
            return "refused"

        chain = record.body["message_id"]
        body: dict[str, Any] = {
            "text": text,
            "principal": principal.plain(),
            "channel": channel_of(heard.chat_id).plain(),
            "correlation_id": chain,
        }
        if heard.file is not None:
            body["file"] = heard.file._asdict()

        self._typing.begin(heard.chat_id)
        item = InboxItem(id=f"said:{record.name}", kind="said", at=record.at, body=body)
        office = self._office
        most = LIMITS["inbox_items"]
        await office.store.conversations.put(office.tenant, row.id, item, most=most)
        bell = UserSpoke(conversation_id=row.id)
        await office.bus.publish(
            said(bell, by=DOOR, tenant=office.tenant, at=office.at(), id=chain)
        )
        return "said"

    async def _conversation(
        self, record: DoorRecord, heard: Said, principal: Principal
    ) -> ConversationRow | str:
        """The conversation of a chat, made if there is none; or why there is none."""
        row = await self._found(heard.chat_id)
        if row is not None:
            return row

        answer = await self._office.propose(
            derived_id("dec", record.body["message_id"], "conversation"),
            "conversation.create",
            {"channel": DOOR},
            (principal, heard.chat_id),
        )
        row = await self._found(heard.chat_id)
        return row if row is not None else _why(answer)

    async def _found(self, chat_id: int) -> ConversationRow | None:
        """The chat's conversation, begun here or where the chat was before."""
        office = self._office
        for address in await addresses_of(office, chat_id):
            row = await office.store.conversations.at(office.tenant, DOOR, address)
            if row is not None:
                return row

        return None

    async def _bind(
        self, record: DoorRecord, heard: Said, code: str, *, ok: bool
    ) -> str:
        if not ok or not heard.is_private:
            await self._office.tell(heard.chat_id, _NO_START, _reply_id(record))
            return "hint"

        bound = await self._accounts.bind(heard.user_id, code)
        told = _BOUND if bound else _NOT_BOUND
        await self._office.tell(heard.chat_id, told, _reply_id(record))
        ending = "bound" if bound else "not_bound"
        self._log.info("telegram.account", ending=ending, user_id=heard.user_id)
        return ending


def _why(answer: object) -> str:
    """Why there is no conversation. Raises TemporaryError if there may be one."""
    if isinstance(answer, Refused):
        rules = f" by {', '.join(answer.rules)}" if answer.rules else ""
        return f"Refused{rules} ({answer.code}). {answer.message}"

    if isinstance(answer, Outcome):
        fault = answer.error or Fault(code="internal", message="It failed.")
        return f"Not done ({fault.code}). {fault.message}"

    if answer is None:
        raise TemporaryError(code="gate_unavailable")

    return "A person must allow this chat first. Write again when that is done."


def _hint(file: File | None) -> str:
    return _TOO_LARGE if file is not None and file.is_too_large else _NO_TEXT


def _album_id(heard: Said) -> str | None:
    """One id for all pictures of an album, so that they get one hint."""
    return f"album:{heard.chat_id}:{heard.album}"[:300] if heard.album else None


def _reply_id(record: DoorRecord) -> str:
    return derived_id("msg", record.body["message_id"], "reply")
