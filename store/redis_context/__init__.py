"""The short-term context in Redis: many processes, one copy, no harm if it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pydantic import TypeAdapter, ValidationError

from contracts import SHORT_MEMORY, ChatMemory, ChatMessage
from store.chat_memory import latest, whole
from store.redis_context.keys import Keys
from store.redis_context.link import Command, Link

_MESSAGES = TypeAdapter[tuple[ChatMessage, ...]](tuple[ChatMessage, ...])

TTL_S = 604_800.0
"""A week after the last write a context is gone, unless it is told otherwise."""


class RedisContext:
    """ChatContext in Redis; each verb is one transaction in one round trip.

    The messages are members of a sorted set, by their ``n``: a message that comes
    again is there already, and one that comes late finds its place.
    """

    def __init__(self, link: Link, keys: Keys, *, ttl_s: float) -> None:
        self._link = link
        self._keys = keys
        self._ttl_ms = max(1, round(ttl_s * 1_000))

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        namespace: str,
        ttl_s: float = TTL_S,
        deadline_s: float = 2.0,
    ) -> AsyncIterator[RedisContext]:
        """The context in this Redis, which need not be up yet.

        A context lives ``ttl_s`` seconds after its last write, and no verb takes
        longer than ``deadline_s``. Raises ConfigurationError for a wrong URL.
        """
        link = Link(url, deadline_s=deadline_s)
        try:
            yield cls(link, Keys(namespace), ttl_s=ttl_s)
        finally:
            await link.close()

    async def recall(self, tenant: str, chat_id: str) -> ChatMemory | None:
        """See ChatContext."""
        messages, summary = self._keys.of(tenant, chat_id)
        members, text = await self._link.atomically(
            ("ZRANGE", messages, 0, -1), ("GET", summary)
        )
        return _recalled(members, text)

    async def append(self, tenant: str, chat_id: str, more: ChatMemory) -> None:
        """See ChatContext."""
        await self._link.atomically(*self._added(tenant, chat_id, more))

    async def replace(self, tenant: str, chat_id: str, memory: ChatMemory) -> None:
        """See ChatContext."""
        whole_of_it = memory.model_copy(update={"summary": memory.summary or ""})
        await self._link.atomically(
            ("DEL", *self._keys.of(tenant, chat_id)),
            *self._added(tenant, chat_id, whole_of_it),
        )

    async def forget(self, tenant: str, chat_id: str) -> None:
        """See ChatContext."""
        await self._link.atomically(("DEL", *self._keys.of(tenant, chat_id)))

    def _added(self, tenant: str, chat_id: str, more: ChatMemory) -> list[Command]:
        """What adds these messages and keeps both parts alive for the same time."""
        messages, summary = self._keys.of(tenant, chat_id)
        commands: list[Command] = []
        if more.messages:
            commands.append(("ZADD", messages, *_scored(more)))
            commands.append(("ZREMRANGEBYRANK", messages, 0, -SHORT_MEMORY - 1))

        if more.summary is not None:
            commands.append(("SET", summary, more.summary))

        keys = (messages, summary)
        return [*commands, *(("PEXPIRE", key, self._ttl_ms) for key in keys)]


def _scored(more: ChatMemory) -> list[int | str]:
    messages = latest(more.messages)
    return [part for each in messages for part in (each.n, each.model_dump_json())]


def _recalled(members: Sequence[bytes], summary: bytes | None) -> ChatMemory | None:
    """The context of these bytes; None if another version wrote what we cannot read."""
    try:
        messages = _MESSAGES.validate_json(b"[%b]" % b",".join(members))
        text = None if summary is None else summary.decode()
        return whole(messages, text)
    except (ValidationError, UnicodeDecodeError):
        return None
