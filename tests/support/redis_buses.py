"""Redis buses with short times, as several processes would have them."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from redis.asyncio import Redis

from bus.codec import Codec
from bus.redis_streams import RedisStreamsBus, Tuning
from bus.redis_streams.keys import Keys
from contracts import (
    Channel,
    Clock,
    Decision,
    Envelope,
    Principal,
    Proposer,
    new_id,
    said,
)
from contracts.envelope import RunReady
from sluicegate.clock import SystemClock
from tests.support.servers import RedisServer

AT = "2026-11-21T03:54:40.123Z"
KEY = b"a key for tests, of enough bytes"
QUICK = Tuning(
    deadline_s=1.0,
    block_s=0.2,
    margin_s=1.0,
    min_idle_s=0.3,
    claim_s=0.1,
    pulse_s=0.1,
    backlog_s=0.05,
    reconnect_s=0.1,
    capacity=1_000,
)
"""Times short enough for a test, long enough for a slow machine."""


class Place:
    """A namespace on a server: what a number of processes share."""

    def __init__(self, server: RedisServer, namespace: str = "") -> None:
        self.server = server
        self.namespace = namespace or new_id("msg")
        self.keys = Keys(self.namespace)
        self.codec = Codec(KEY)

    @asynccontextmanager
    async def bus(
        self, tuning: Tuning = QUICK, clock: Clock | None = None
    ) -> AsyncIterator[RedisStreamsBus]:
        """The bus of one more process."""
        bus = RedisStreamsBus(
            self.server.url,
            clock or SystemClock(),
            key=KEY,
            namespace=self.namespace,
            tuning=tuning,
        )
        try:
            yield bus
        finally:
            await bus.close()

    async def run(self, *command: Any) -> Any:
        """What Redis answers to a command, raw, on a connection of its own."""
        client = Redis.from_url(
            self.server.url, protocol=2, socket_timeout=5, single_connection_client=True
        )
        client.response_callbacks.clear()
        try:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()

    async def add(self, kind: str, frame: bytes) -> bytes:
        """Put a frame into the stream of a kind, as anybody could who has Redis."""
        entry: bytes = await self.run("XADD", self.keys.work(kind), "*", "m", frame)
        return entry

    async def frames(self, kind: str) -> list[bytes]:
        """The frames that lie in the stream of a kind."""
        entries = await self.run("XRANGE", self.keys.work(kind), "-", "+")
        return [fields[1] for _, fields in entries]

    async def pending(self, kind: str, group: str) -> int:
        """How many messages of a kind were handed to a group and not acknowledged."""
        summary = await self.run("XPENDING", self.keys.work(kind), group)
        return int(summary[0])


def ready(**more: Any) -> Envelope:
    """A small message."""
    body = RunReady(run_id=new_id("run"))
    return said(body, by="test", tenant="default", at=AT, **more)


def large(text: str = "x" * 100_000) -> Envelope:
    """A decision that carries a text."""
    body = Decision(
        id=new_id("dec"),
        action="workflow.run",
        args={"input": text},
        proposer=Proposer(kind="user", id="ada"),
        principal=Principal(
            id="key", kind="api_key", subject="ada", permissions=(), tenant="default"
        ),
        channel=Channel(kind="http"),
        not_after=AT,
        created_at=AT,
    )
    return said(body, by="test", tenant="default", at=AT)


def signed(version: bytes, text: bytes) -> bytes:
    """A frame as a process of this version writes it."""
    covered = b"sluicegate.bus\x00" + version + b"\x00" + text
    mac = hmac.digest(KEY, covered, "sha256").hex().encode()
    return version + b" " + mac + b"\n" + text


class Heard:
    """A handler that keeps what it hears and can be waited for."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._changed = anyio.Event()

    async def __call__(self, envelope: Envelope) -> None:
        """Keep it."""
        self.envelopes.append(envelope)
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def ids(self) -> set[str]:
        """The ids of what was heard, each once."""
        return {envelope.id for envelope in self.envelopes}

    async def until(self, ids: set[str], within_s: float = 15.0) -> None:
        """Return when all of these were heard. Raises TimeoutError."""
        with anyio.fail_after(within_s):
            while not ids <= self.ids:
                await self._changed.wait()
