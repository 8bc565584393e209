"""One authenticated request and what its handler may use."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bus import Bus
from contracts import (
    Channel,
    Clock,
    DecisionRecord,
    JsonObject,
    Principal,
    Proposer,
    Timestamp,
    stamp,
)
from gateways.http.cursors import Cursors
from store import Store

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


Hook = Callable[[web.Request], Awaitable[web.Response]]
"""Answers a request that brings no key. Raises SluicegateError for a problem."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the HTTP gateway was opened with, and whether it is closing."""

    store: Store
    bus: Bus
    clock: Clock
    cursors: Cursors
    explain: Callable[[DecisionRecord], JsonObject]
    """Tells each rule of the policy in force and whether it matches a record."""

    version: str
    gate_deadline_s: float = 5.0
    drain_s: float = 0.0
    """How long it says that it stops before it stops listening."""

    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    """Host names a request may use."""

    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """Who answers a POST to a path of another door; it knows its callers itself."""

    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as soon as the service is told to stop: nobody should be sent here."""

    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the service stops: whoever waits is answered with what is known."""

    streams: Counter[str] = field(default_factory=Counter)
    """How many event streams each key has open."""

    def at(self) -> Timestamp:
        """Now, as text."""
        return stamp(self.clock.now())


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in: its ids, and the headers its answer gets."""

    route: str
    """Method and path below the base."""

    request_id: str
    decision_id: str
    message_id: str
    """The id of the decision it proposes, if it does, and of the message it says."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A request and who makes it."""

    door: Door
    request: web.Request
    asked: Asked
    principal: Principal

    @property
    def headers(self) -> dict[str, str]:
        """The headers the answer gets."""
        return self.asked.headers

    @property
    def tenant(self) -> str:
        """The tenant of the caller."""
        return self.principal.tenant

    @property
    def proposer(self) -> Proposer:
        """The caller as a proposer."""
        return Proposer(kind="user", id=self.principal.id)

    @property
    def channel(self) -> Channel:
        """Where the call came in."""
        return Channel(kind="http", address=self.request.remote or "")

    @property
    def traceparent(self) -> str | None:
        """The caller's W3C trace context; None without one that is well-formed."""
        given = self.request.headers.get("traceparent", "")
        return given if _TRACEPARENT.fullmatch(given) else None

    def path(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
"""Answers a call. Raises SluicegateError for a problem."""
