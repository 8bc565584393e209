"""The product as many processes on a real bus and store, each held up by a supervisor.

Everything listens on loopback, on ports that were free; every child is ended by its id
when the context ends.
"""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
import anyio

from contracts import fresh_key
from tests.support.api import Answer, Api, open_session
from tests.support.child import Child
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.proxy import Proxy, open_proxy
from tests.support.servers import MongoServer, RedisServer
from tests.support.service import environment, says_ready, serving_on

Role = Literal["gateway", "coordinator", "worker"]
ServerName = Literal["redis", "mongo"]

DATABASE = "sluicegate"

_READY_S = 60.0
_STOP_S = 30.0
_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 2.0
_SHORT_LIFE_S = 1.0
_SECRET = "0123456789abcdef" * 4
_SEALING = frozenset({"coordinator", "worker"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How many of each role, which of their links can be disturbed, how it is set."""

    gateways: int = 1
    coordinators: int = 1
    workers: int = 2
    links: frozenset[tuple[Role, ServerName]] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of every process, without their prefix."""

    def names(self) -> list[tuple[str, Role]]:
        """Every process and its role."""
        numbers: dict[Role, int] = {
            "coordinator": self.coordinators,
            "gateway": self.gateways,
            "worker": self.workers,
        }
        return [(f"{r}-{n}", r) for r, many in numbers.items() for n in range(many)]


class RoleProcess:
    """A process of one role, started again whenever it ends, until it is retired."""

    def __init__(self, name: str, role: Role, folder: Path) -> None:
        self.name = name
        self.role = role
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = folder / name
        self.child = Child(folder / f"{name}.out")
        self.ends: list[int] = []
        """The exit codes of its lives so far."""

        self.settings: dict[str, str] = {}
        self._retired = False

    async def keep_up(self) -> None:
        """Start it, and again when it has ended, as a service manager does."""
        backoff = _BACKOFF_S
        while not self._retired:
            began = time.monotonic()
            await self._start()
            self.ends.append(await self.child.ended())
            short = time.monotonic() - began < _SHORT_LIFE_S
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S) if short else _BACKOFF_S
            await anyio.sleep(backoff)

    async def retire(self) -> int:
        """Stop it for good with SIGTERM; its exit code. Raises TimeoutError."""
        self._retired = True
        return await self.terminate()

    async def kill(self) -> int:
        """Kill it as kill -9 does; the id that is gone, 0 if there was none."""
        pid = self.child.send(signal.SIGKILL)
        if pid:
            await self.child.ended()

        return pid

    async def terminate(self) -> int:
        """Stop it with SIGTERM; its exit code. Raises TimeoutError."""
        self.child.send(signal.SIGTERM)
        with anyio.fail_after(_STOP_S):
            return await self.child.ended()

    def is_held(self) -> bool:
        """Whether it was stopped and did not go on."""
        try:
            stat = Path(f"/proc/{self.child.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return False

        return stat.rpartition(")")[2].split()[0] == "T"

    async def _start(self) -> None:
        command = serving_on(self.port, self.role)
        await self.child.start(command, environment(**self.settings))


class Deployment:
    """Processes of all roles with their servers. Made by ``open_deployment``."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.folder = folder
        self.key = fresh_key()[1]
        self.redis = RedisServer(folder / "redis")
        self.mongo = MongoServer(folder / "mongo")
        self.links: dict[tuple[Role, ServerName], Proxy] = {}
        self.processes = {
            name: RoleProcess(name, role, folder) for name, role in plan.names()
        }

    def of(self, role: Role) -> list[RoleProcess]:
        """The processes of a role."""
        return [one for one in self.processes.values() if one.role == role]

    @property
    def urls(self) -> list[str]:
        """Where the gateways listen."""
        return [one.url for one in self.of("gateway")]

    async def kill(self, name: str) -> int:
        """Kill a process as kill -9 does; the id that is gone, 0 if it was away."""
        return await self.processes[name].kill()

    async def terminate(self, name: str) -> int:
        """Stop a process with SIGTERM; its exit code. Raises TimeoutError."""
        return await self.processes[name].terminate()

    def link(self, name: str) -> Proxy:
        """The proxy between a role and a server, by ``role-server``."""
        known = {f"{r}-{server}": proxy for (r, server), proxy in self.links.items()}
        return known[name]

    def stop(self, name: str) -> int:
        """Hold a process up where it stands; its id, 0 if it was away."""
        return self.processes[name].child.hold()

    def go_on(self, name: str) -> int:
        """Let a held process go on; its id, 0 if it is gone."""
        return self.processes[name].child.go_on()

    def child(self, name: str) -> Child:
        """The process of this name, or the server."""
        servers = {"redis": self.redis.child, "mongo": self.mongo.child}
        return servers.get(name) or self.processes[name].child

    async def ready(self, names: Iterable[str] = ()) -> None:
        """Return once these, or all, say that they are ready. Raises TimeoutError."""
        asked = [self.processes[name] for name in names or self.processes]
        async with aiohttp.ClientSession() as session:
            for process in asked:
                is_ready = partial(says_ready, session, process.url)
                if not await until(is_ready, within_s=_READY_S):
                    said = process.child.output()[-2_000:]
                    raise TimeoutError(f"{process.name} is not ready: {said}")

    async def start_servers(self) -> None:
        """Start Redis and MongoDB."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.redis.start, name="start Redis")
            tasks.start_soon(self.mongo.start, name="start MongoDB")

    def configure(self) -> None:
        """Give every process its settings."""
        for process in self.processes.values():
            process.settings = {
                "DATA_DIR": str(process.data_dir),
                "SERVER__PORT": str(process.port),
                "SERVER__HEALTH_PORT": str(process.port),
                "BUS__URL": self._url(process.role, "redis"),
                "STORE__URL": self._url(process.role, "mongo"),
                "KEYS__BUS": _SECRET,
                **self._of_role(process.role),
                **self.plan.settings,
            }

    async def end(self) -> None:
        """Kill everything that still runs."""
        for process in self.processes.values():
            await process.child.kill()

        await self.redis.kill()
        await self.mongo.kill()

    def logs(self) -> str:
        """Everything that the processes of all roles logged."""
        kept = (one.data_dir / "logs" for one in self.processes.values())
        files = (path for folder in kept for path in sorted(folder.glob("*.jsonl*")))
        return "".join(path.read_text(encoding="utf-8") for path in files)

    def _url(self, role: Role, server: ServerName) -> str:
        """The address of a server, or of the proxy between a role and it."""
        proxy = self.links.get((role, server))
        if server == "redis":
            return f"redis://127.0.0.1:{proxy.port if proxy else self.redis.port}/0"

        if proxy is None:
            return self.mongo.url(DATABASE)

        # a member that told its own address would lead past the proxy
        address = f"127.0.0.1:{proxy.port}"
        return f"mongodb://{address}/{DATABASE}?replicaSet=rs0&directConnection=true"

    def _of_role(self, role: Role) -> dict[str, str]:
        sealing = {"KEYS__SEAL": _SECRET} if role in _SEALING else {}
        return {"KEYS__BOOTSTRAP_ADMIN": self.key, **sealing}


class Doors(Api):
    """One API behind many gateways: each request goes to the next of them."""

    def __init__(
        self, session: aiohttp.ClientSession, urls: Sequence[str], key: str
    ) -> None:
        super().__init__(session, urls[0], key)
        self._urls = urls
        self._turns = cycle(urls)

    def as_holder_of(self, key: str) -> Self:
        """See Api."""
        return type(self)(self._session, self._urls, key)

    async def call(self, method: str, path: str, *given: Any, **named: Any) -> Answer:
        """See Api."""
        self.url = next(self._turns)
        return await super().call(method, path, *given, **named)


@asynccontextmanager
async def open_doors(deployment: Deployment) -> AsyncIterator[Doors]:
    """The API of the first admin, through every gateway in turn."""
    async with open_session() as session:
        yield Doors(session, deployment.urls, deployment.key)


@asynccontextmanager
async def open_deployment(
    folder: Path, plan: Plan | None = None, seed: int = 0
) -> AsyncIterator[Deployment]:
    """The whole deployment, ready; nothing of it is left after the context.

    Raises TimeoutError.
    """
    deployment = Deployment(folder, plan or Plan())
    try:
        async with AsyncExitStack() as life:
            await deployment.start_servers()
            await _open_links(deployment, seed, life)
            deployment.configure()
            await life.enter_async_context(_kept_up(deployment))
            await deployment.ready()
            yield deployment
    finally:
        with anyio.CancelScope(shield=True):
            await deployment.end()


async def _open_links(deployment: Deployment, seed: int, life: AsyncExitStack) -> None:
    ports = {"redis": deployment.redis.port, "mongo": deployment.mongo.port}
    for role, server in sorted(deployment.plan.links):
        proxy = await life.enter_async_context(open_proxy(ports[server], seed))
        deployment.links[role, server] = proxy


@asynccontextmanager
async def _kept_up(deployment: Deployment) -> AsyncIterator[None]:
    """Its processes are started again whenever they end, while this lasts."""
    async with anyio.create_task_group() as supervisor:
        for process in deployment.processes.values():
            name = f"the supervisor of {process.name}"
            supervisor.start_soon(process.keep_up, name=name)

        try:
            yield
        finally:
            supervisor.cancel_scope.cancel()
