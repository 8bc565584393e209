"""The service under test, inside the test's own loop: embedded, or its roles apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from bus import Bus, Handler, Subscription
from bus.in_process import InProcessBus
from bus.redis_streams import RedisStreamsBus
from contracts import Seals
from contracts.envelope import Kind
from sluicegate.clock import SystemClock
from sluicegate.config import Settings, load_settings
from sluicegate.material import open_seals
from sluicegate.roles import ALL, Roles
from sluicegate.wiring import Service, open_service
from tests.support.api import Api, open_api
from tests.support.checkout import ROOT
from tests.support.mongo import empty
from tests.support.servers import MongoServer, RedisServer

_HOUSEKEEPING = frozenset({"capabilities", "leases", "ledger_heads"})
_APART: dict[str, Roles] = {
    "coordinator": frozenset({"coordinator"}),
    "worker": frozenset({"worker"}),
    "another worker": frozenset({"worker"}),
    "gateway": frozenset({"gateway"}),
}
"""What runs where the roles are apart; the gateway comes last."""

Given = Callable[..., Settings]
"""Makes the settings of a service; takes what differs in each section."""


class AdjustableClock(SystemClock):
    """The machine's time, which a test may put forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC) + self._ahead

    def put_forward(self, seconds: float) -> None:
        """Let the wall clock jump; sleepers sleep on."""
        self._ahead += timedelta(seconds=seconds)


class Served(NamedTuple):
    """A service in this loop, and its API for the first admin."""

    services: tuple[Service, ...]
    """Every process of it; the last one is, or has, the gateway."""

    settings: Settings
    api: Api
    clock: AdjustableClock

    @property
    def service(self) -> Service:
        """The process that callers talk to."""
        return self.services[-1]

    @property
    def seals(self) -> Seals:
        """The seals of its coordinator and workers."""
        keys = self.settings.keys
        return open_seals(self.settings.data_dir, given=keys.secret_of("seal"))

    async def counts(self) -> dict[str, int]:
        """How much is stored of what somebody asked for; what keeps house is not."""
        await self.link()
        counts = await self.service.store.counts()
        return {name: n for name, n in counts.items() if name not in _HOUSEKEEPING}

    async def link(self) -> None:
        """Return once everything that was said so far is in the ledger's chain."""
        ledger = self.service.store.ledger
        while await ledger.unchained("default"):
            await ledger.chain("default")

    async def key(self, subject: str, *roles: str) -> Api:
        """The API for the holder of a new key of this subject."""
        body = {"subject": subject, "roles": roles}
        made = await self.api.post("/keys", body)
        return self.api.as_holder_of(made["key"])

    async def deafen(self, kind: Kind, group: str) -> Deafness:
        """Let no process of a group hear messages of a kind any more."""
        deaf = Deafness(kind, group, [])
        for service in self.services:
            for ear, handler in _ears(service.bus, kind, group):
                await ear.close()
                deaf.ears.append((service.bus, handler))

        return deaf


class Deafness(NamedTuple):
    """Who does not hear a kind of message, and how they would handle it."""

    kind: Kind
    group: str
    ears: list[tuple[Bus, Handler]]

    def end(self) -> None:
        """Let all of them hear again."""
        for bus, handler in self.ears:
            bus.subscribe(self.kind, self.group, handler)


class Stage(NamedTuple):
    """Where a service is set up: embedded, or its roles apart on real servers."""

    redis: RedisServer | None = None
    mongo: MongoServer | None = None

    async def clear(self, name: str) -> None:
        """Make the store of this name as empty as a new one."""
        if self.mongo is not None:
            await empty(self.mongo.url(name))

    def settings(self, name: str, folder: Path, **sections: dict[str, Any]) -> Settings:
        """The shipped configuration, for a service of this name and folder.

        Some keys of its sections are changed.
        """
        fresh = f"{name}-{sha256(str(folder).encode()).hexdigest()[:8]}"
        shared = self._shared(name, fresh)
        return settings_at(folder, **shared, **sections)

    def _shared(self, database: str, namespace: str) -> dict[str, dict[str, Any]]:
        if self.redis is None or self.mongo is None:
            return {}

        return {
            "bus": {"url": self.redis.url, "namespace": namespace},
            "store": {"url": self.mongo.url(database)},
            "keys": {"seal": SecretStr("s" * 32), "bus": SecretStr("b" * 32)},
        }


def settings_at(data_dir: Path, **sections: dict[str, Any]) -> Settings:
    """The shipped configuration on a free port, some keys of its sections changed."""
    given = load_settings(ROOT / "config.toml")
    changed = {"server": {"port": 0}, "runs": {"sweep_s": 0.1}, **sections}
    update = {
        name: getattr(given, name).model_copy(update=keys)
        for name, keys in changed.items()
    }
    return given.model_copy(update={"data_dir": data_dir, **update})


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Served]:
    """The whole service in this loop; stopped with the context."""
    clock = AdjustableClock()
    parts = _APART if settings.bus.is_shared else {"": ALL}
    async with AsyncExitStack() as life:
        services = [
            await life.enter_async_context(
                open_service(_own(settings, name), clock, roles=roles)
            )
            for name, roles in parts.items()
        ]
        key = (settings.data_dir / "admin.key").read_text(encoding="utf-8").strip()
        api = await life.enter_async_context(open_api(services[-1].url, key))
        yield Served(tuple(services), settings, api, clock)


def _own(settings: Settings, name: str) -> Settings:
    """The settings with a folder of its own for each process but the gateway."""
    folder = "" if name == "gateway" else name
    return settings.model_copy(update={"data_dir": settings.data_dir / folder})


def _ears(bus: Bus, kind: str, group: str) -> Iterator[tuple[Subscription, Handler]]:
    """What feeds a group of this process, and what it is fed to."""
    if isinstance(bus, InProcessBus):
        for slots in bus._subscriptions:
            if (slots._group.kind, slots._group.name) == (kind, group):
                yield slots, slots._handler

    if isinstance(bus, RedisStreamsBus):
        for feed in bus._feeds:
            if (feed._seat.kind, feed._seat.group) == (kind, group):
                yield feed, feed._desk._handler
