"""Messages of conversations, and the contexts that hold them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from contracts import ChatMemory, ChatMessage, new_id
from store.redis_context import RedisContext
from tests.support.servers import RedisServer

AT = "2026-11-21T03:54:40.123Z"
CHAT = "-1001234567890"


def message(n: int, text: str = "", **more: Any) -> ChatMessage:
    """The nth message of a conversation, said in turn."""
    role = "user" if n % 2 else "assistant"
    given: dict[str, Any] = {"n": n, "role": role, "text": text or f"text {n}"}
    return ChatMessage(**{**given, "at": AT, **more})


def memory(first: int, last: int, summary: str | None = None) -> ChatMemory:
    """The messages from the first to the last, and a summary."""
    messages = tuple(message(n) for n in range(first, last + 1))
    return ChatMemory(messages=messages, summary=summary)


def numbers(recalled: ChatMemory | None) -> list[int]:
    """The numbers of the messages of what was recalled; none if it was missing."""
    return [each.n for each in recalled.messages] if recalled else []


@asynccontextmanager
async def redis_context(
    server: RedisServer, **more: Any
) -> AsyncIterator[RedisContext]:
    """A context on a server, in a namespace of its own unless one is given."""
    given = {"namespace": new_id("msg"), "deadline_s": 1.0, **more}
    async with RedisContext.open(server.url, **given) as context:
        yield context


@asynccontextmanager
async def raw(server: RedisServer) -> AsyncIterator[Redis]:
    """The server as anybody sees it who has Redis."""
    client = Redis.from_url(server.url, protocol=2, socket_timeout=5)
    try:
        yield client
    finally:
        await client.aclose()
