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
import anyio
from anyio.abc import Process

from bus.in_process import InProcessBus
from bus.in_process.group import Slots
from contracts import fresh_key
from sluicegate.clock import SystemClock
from sluicegate.config import Settings, load_settings
from sluicegate.wiring import Service, open_service
from tests.support.api import Api, open_api
from tests.support.checkout import ROOT
from tests.support.polling import until
from tests.support.ports import free_port

_HOUSEKEEPING = frozenset({"capabilities", "leases", "ledger_heads"})
_START_S = 20.0
_STOP_S = 5.0


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
        self._output = folder / "service.out"
        own = {
            "DATA_DIR": str(self.data_dir),
            "KEYS__BOOTSTRAP_ADMIN": self.key,
            **settings,
        }
        prefixed = {f"SLUICEGATE_{name}": value for name, value in own.items()}
        self._environment = {**os.environ, **prefixed}
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it; it does not answer yet."""
        command = [sys.executable, "-m", "sluicegate", "serve", "--port"]
        with self._output.open("ab") as output:
            self._process = await anyio.open_process(
                [*command, str(self.port)],
                cwd=ROOT,
                env=self._environment,
                stdin=None,
                stdout=output,
                stderr=output,
            )

    async def ready(self) -> None:
        """Return once it answers that it is ready. Raises TimeoutError."""
        async with aiohttp.ClientSession() as session:
            if not await until(lambda: self._is_ready(session), within_s=_START_S):
                raise TimeoutError(f"It does not start: {self.output()[-2_000:]}")

    async def kill(self) -> int:
        """Kill it as kill -9 does; the id of the process that is gone now."""
        if self._process is None:
            return 0

        process, self._process = self._process, None
        if process.returncode is None:
            process.kill()

        with anyio.CancelScope(shield=True), anyio.move_on_after(_STOP_S):
            await process.wait()

        return process.pid

    def output(self) -> str:
        """What it wrote to its terminal."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"The service ended: {self.output()[-2_000:]}")

        try:
            async with session.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
