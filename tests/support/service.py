"""The service under test as a child process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aiohttp

from contracts import fresh_key
from tests.support.child import Child
from tests.support.polling import until
from tests.support.ports import free_port

_START_S = 20.0


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
