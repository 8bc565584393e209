"""One authenticated request and what its handler may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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


@dataclass(frozen=True, slots=True)
class Door:
    """What the HTTP gateway was opened with."""

    store: Store
    bus: Bus
    clock: Clock
    cursors: Cursors
    explain: Callable[[DecisionRecord], JsonObject]
    """Tells each rule of the policy in force and whether it matches a record."""

    version: str
    gate_deadline_s: float = 5.0
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    """Host names a request may use."""

    def at(self) -> Timestamp:
        """Now, as text."""
        return stamp(self.clock.now())


@dataclass(slots=True)
class Call:
    """A request, who makes it, and the headers its answer gets."""

    door: Door
    request: web.Request
    request_id: str
    principal: Principal
    headers: dict[str, str] = field(default_factory=dict)

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

    def path(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
"""Answers a call. Raises SluicegateError for a problem."""
