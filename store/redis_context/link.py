"""A few connections to Redis, and the driver's errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts import ConfigurationError, StoreUnavailable
from contracts.redis_urls import refuse_odd

Command = tuple[str | int, ...]

_CONNECTIONS = 4
_RETRY_AFTER_S = 1.0


class Link:
    """Transactions on a few connections, each opened when it is first needed.

    Guarantees: a transaction is sent at most once and in one piece. A connection
    whose answer was not awaited to its end is never used again.
    """

    def __init__(self, url: str, *, deadline_s: float) -> None:
        """Raises ConfigurationError for a URL that names no Redis."""
        self._deadline_s = deadline_s
        self._pool = _pool(url, deadline_s)
        self._redis = Redis(connection_pool=self._pool)

    async def atomically(self, *commands: Command) -> list[Any]:
        """The replies of commands that all run, or none of them.

        Raises StoreUnavailable ``redis_unavailable``, after the deadline at latest.
        """
        with _in_our_words(), anyio.fail_after(self._deadline_s):
            async with self._redis.pipeline(transaction=True) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)

                return await pipeline.execute()

    async def close(self) -> None:
        """Close every connection. Twice is harmless."""
        with anyio.CancelScope(shield=True):
            await self._pool.aclose()


def _pool(url: str, deadline_s: float) -> BlockingConnectionPool:
    try:
        options = _options(url, deadline_s)
        pool = BlockingConnectionPool(
            max_connections=_CONNECTIONS, timeout=None, **options
        )
        pool.make_connection()  # type: ignore[no-untyped-call]  # opens nothing
        return pool
    except (ValueError, TypeError, RedisError) as error:
        # the URL may hold a password: only what is wrong with it is told
        message = f"bus.url: {error}"
        raise ConfigurationError(message, code="store_unusable") from None


def _options(url: str, deadline_s: float) -> dict[str, Any]:
    """What the URL says, and what no URL may change.

    A transaction that is sent again may act twice, so the driver tries none again.
    """
    refuse_odd(url)
    return {
        **parse_url(url),
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": deadline_s,
        "socket_connect_timeout": deadline_s,
        "health_check_interval": 0,
        "protocol": 2,
        "decode_responses": False,
        "driver_info": None,
        "client_name": "sluicegate-context",
    }


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Raises StoreUnavailable for whatever the driver or the connection raises.

    Full memory, READONLY, LOADING and no permission are said in the same way: the
    context can be had from the history.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        text = str(error) if isinstance(error, RedisError) else ""
        raise StoreUnavailable(
            f"Redis: {text}" if text else "",
            code="redis_unavailable",
            delay=_RETRY_AFTER_S,
        ) from error
