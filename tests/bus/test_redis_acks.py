"""What a subscription holds, while its acknowledgements are on their way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from bus.redis_streams.acks import Acks
from bus.redis_streams.keys import Seat
from bus.redis_streams.office import Office

ENTRY = b"1-0"
SEAT = Seat("run_ready", "worker", b"work", b"failures", "us")


class Redis:
    """A link whose replies come when the test says so."""

    def __init__(self) -> None:
        self.replies: list[asyncio.Future[Any]] = []

    def call(self, *_: object) -> asyncio.Future[Any]:
        """A reply that is still to come."""
        reply = asyncio.get_running_loop().create_future()
        self.replies.append(reply)
        return reply


async def test_an_entry_is_held_until_its_acknowledgement_was_taken() -> None:
    redis, acks = _acks()
    acks.held.add(ENTRY)
    acks.done(ENTRY, failed_before=False)
    await asyncio.sleep(0)

    assert acks.knows(ENTRY)

    await _answer(redis)
    assert not acks.knows(ENTRY)


async def test_an_entry_acknowledged_while_a_read_was_under_way_is_known() -> None:
    redis, acks = _acks()
    acks.held.add(ENTRY)
    with acks.reading():
        acks.done(ENTRY, failed_before=False)
        await asyncio.sleep(0)
        await _answer(redis)

        assert ENTRY not in acks.held
        assert acks.knows(ENTRY)

    assert not acks.knows(ENTRY)


def _acks() -> tuple[Redis, Acks]:
    redis = Redis()
    return redis, Acks(cast(Office, SimpleNamespace(link=redis)), SEAT)


async def _answer(redis: Redis) -> None:
    redis.replies.pop().set_result(1)
    await asyncio.sleep(0)
