"""The service under test: inside the test's own loop, or as a child process."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from bus.in_process import InProcessBus
from bus.in_process.group import Slots
from contracts import fresh_key
from sluicegate.clock import SystemClock
from sluicegate.config import Settings, load_settings
from sluicegate.wiring import Service, open_service
from tests.support.api import Api, open_api
from tests.support.checkout import ROOT
from tests.support.child import Child
from tests.support.polling import until
from tests.support.ports import free_port

_HOUSEKEEPING = frozenset({"capabilities", "leases", "ledger_heads"})
_START_S = 20.0


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
    """A service in this process, and its API for the first admin."""

    service: Service
    api: Api
    clock: AdjustableClock

    async def counts(self) -> dict[str, int]:
        """How much is stored of what somebody asked for; what keeps house is not."""
        counts = await self.service.store.counts()
        return {name: n for name, n in counts.items() if name not in _HOUSEKEEPING}

    async def key(self, subject: str, *roles: str) -> Api:
        """The API for the holder of a new key of this subject."""
        body = {"subject": subject, "roles": roles}
        made = await self.api.post("/keys", body)
        return self.api.as_holder_of(made["key"])


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
    async with open_service(settings, clock) as service:
        key = (settings.data_dir / "admin.key").read_text(encoding="utf-8").strip()
        async with open_api(service.url, key) as api:
            yield Served(service, api, clock)


def ear_of(served: Served, kind: str) -> Slots:
    """What feeds an agent messages of a kind; to be closed, so that it hears none."""
    bus = served.service.bus
    assert isinstance(bus, InProcessBus)
    return next(ear for ear in bus._subscriptions if ear._group.kind == kind)


class ServiceProcess:
    """The service as a child process that may be killed and started again.

    It keeps its port, its data and its admin key.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        """``settings`` are environment variables without their prefix."""
        self.port = free_port()
        self.key = fresh_key()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = folder / "data"
        self._child = Child(folder / "service.out")
        self._environment = environment(
            DATA_DIR=str(self.data_dir), KEYS__BOOTSTRAP_ADMIN=self.key, **settings
        )

    async def start(self) -> None:
        """Start it; it does not answer yet."""
        await self._child.start(serving_on(self.port), self._environment)

    async def ready(self) -> None:
        """Return once it answers that it is ready. Raises TimeoutError."""
        async with aiohttp.ClientSession() as session:
            if not await until(lambda: self._is_ready(session), within_s=_START_S):
                raise TimeoutError(f"It does not start: {self.output()[-2_000:]}")

    async def kill(self) -> int:
        """Kill it as kill -9 does; the id of the process that is gone now."""
        return await self._child.kill()

    def output(self) -> str:
        """What it wrote to its terminal."""
        return self._child.output()

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        if not self._child.runs:
            raise RuntimeError(f"The service ended: {self.output()[-2_000:]}")

        return await says_ready(session, self.url)


def serving_on(port: int, role: str | None = None) -> list[str]:
    """The command of a process of a role; without one, of the whole service."""
    command = [sys.executable, "-m", "sluicegate", "serve", "--port", str(port)]
    return command if role is None else [*command, "--role", role]


def environment(**settings: str) -> dict[str, str]:
    """This process's variables, and these with their prefix."""
    return {
        **os.environ,
        **{f"SLUICEGATE_{name}": value for name, value in settings.items()},
    }


async def says_ready(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether a gateway is there and says that it is ready."""
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
