"""Which conversations are held in this process: claimed, driven, given back."""

from __future__ import annotations

import asyncio
import secrets
from types import TracebackType
from typing import Self

import anyio
import structlog

from agents.conversation.desk import Means
from agents.conversation.talk import Talk
from agents.conversation.turns import Book
from contracts import (
    ConversationRow,
    SequenceConflict,
    TemporaryError,
    UserSpoke,
    later,
    said,
    stamp,
)

SPOKE = "spoke"
"""The topic of bells that were heard by another than the owner."""

_PAGE = 500
_MOST_RINGS = 10_000
_SWEPT = 500
_RENEWALS = 3
"""How often a lease is renewed within its time."""


class Keeper:
    """Claims conversations that want to be held, as many as there is room for.

    Guarantees: one owner at a time; one that lost its claim writes nothing more. An
    idle conversation takes nothing here.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._settings = means.settings
        self._owner = f"talker-{secrets.token_hex(8)}"
        self._talks: dict[str, Talk] = {}
        self._taking: set[str] = set()
        self._waiting: dict[tuple[str, str], None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False
        self._log = structlog.get_logger("conversation").bind(worker=self._owner)

    @property
    def held(self) -> int:
        """How many conversations are held now."""
        return len(self._talks)

    async def __aenter__(self) -> Self:
        """Begin; an embedded store's last process holds nothing any more."""
        await self._means.store.conversations.abandoned_by_restart()
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Begin nothing more, and give all back."""
        self._open = False
        for talk in self._talks.values():
            talk.leave()

        with anyio.CancelScope(shield=True):
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._settings.close_s)

            for task in self._tasks:
                task.cancel()

            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ring(self, tenant: str, conversation_id: str) -> None:
        """Look at a conversation: hold it if nobody does. Raises StoreUnavailable."""
        if conversation_id in self._talks or conversation_id in self._taking:
            self.nudge(conversation_id)
        elif self._open and self._has_room():
            self._taking.add(conversation_id)
            try:
                await self._take(tenant, conversation_id)
            finally:
                self._taking.discard(conversation_id)
        elif self._open and len(self._waiting) < _MOST_RINGS:
            self._waiting[(tenant, conversation_id)] = None

    def nudge(self, conversation_id: str) -> None:
        """Something lies in the inbox of a conversation that may be held here."""
        talk = self._talks.get(conversation_id)
        if talk is not None:
            talk.ring()

    async def sweep(self) -> None:
        """Hold what wants to be held and is by nobody. Raises StoreUnavailable."""
        now = stamp(self._means.clock.now())
        for row in await self._means.store.conversations.stale(now, limit=_SWEPT):
            if row.id not in self._talks:
                await self.ring(row.tenant, row.id)

    def _has_room(self) -> bool:
        return len(self._talks) + len(self._taking) < self._settings.max_parallel

    async def _take(self, tenant: str, conversation_id: str) -> None:
        now = stamp(self._means.clock.now())
        conversations = self._means.store.conversations
        row = await conversations.claim(
            tenant,
            conversation_id,
            owner=self._owner,
            now=now,
            until=later(now, self._settings.lease_s),
        )
        if row is None:
            self._pass_on(tenant, conversation_id)
            return

        talk = Talk(self._means, row, await self._book(row), self._owner)
        if not self._open:
            talk.leave()

        self._talks[conversation_id] = talk
        task = asyncio.create_task(self._hold(talk), name=f"talk {conversation_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pass_on(self, tenant: str, conversation_id: str) -> None:
        """Let whoever holds it know."""
        bell = UserSpoke(conversation_id=conversation_id)
        at = stamp(self._means.clock.now())
        self._means.bus.broadcast(
            SPOKE, lambda: said(bell, by=self._owner, tenant=tenant, at=at)
        )

    async def _book(self, row: ConversationRow) -> Book:
        """What the log says: the projection, and the events of open turns after it."""
        conversations, book = self._means.store.conversations, Book(row.state, ())
        while True:
            tail = await conversations.events(
                row.tenant, row.id, after=book.seq, limit=_PAGE
            )
            for event in tail:
                book.apply(event)

            if len(tail) < _PAGE:
                return book

    async def _hold(self, talk: Talk) -> None:
        row = talk.row
        renewing = asyncio.create_task(
            self._renew(talk, asyncio.current_task()), name=f"lease of {row.id}"
        )
        try:
            await talk.hold()
        except SequenceConflict:
            self._log.warning("conversation.lost", conversation_id=row.id)
        except TemporaryError as error:
            self._log.warning(
                "conversation.left", conversation_id=row.id, reason=error.code
            )
        except Exception:  # noqa: BLE001 - one conversation must not end the others
            self._log.exception(
                "alarm", alarm="conversation_broken", conversation_id=row.id
            )
        finally:
            renewing.cancel()
            del self._talks[row.id]

        await self._look_after(row, rung=talk.has_mail)

    async def _look_after(self, row: ConversationRow, *, rung: bool) -> None:
        """Look again if a bell rang too late, and at who waits for room."""
        waiting = [(row.tenant, row.id)] if rung else []
        if self._waiting:
            waiting.append(next(iter(self._waiting)))
            del self._waiting[waiting[-1]]

        for tenant, conversation_id in waiting:
            try:
                await self.ring(tenant, conversation_id)
            except TemporaryError:
                return  # the sweep finds it

    async def _renew(self, talk: Talk, holding: asyncio.Task[None] | None) -> None:
        """Keep the claim while the conversation is held; end the talk if it is lost."""
        conversations, lease_s = self._means.store.conversations, self._settings.lease_s
        row = talk.row
        while not talk.is_ending:
            await self._means.clock.sleep(lease_s / _RENEWALS)
            until = later(stamp(self._means.clock.now()), lease_s)
            try:
                held = await conversations.renew(
                    row.tenant, row.id, owner=self._owner, until=until
                )
            except TemporaryError:
                continue  # the log tells whether it is lost

            if not held and holding is not None and not talk.is_ending:
                self._log.warning("conversation.lost", conversation_id=row.id)
                holding.cancel()
                return
