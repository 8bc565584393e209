"""The one place where everything is put together: from settings to a live service."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents import Activation
from agents.coordinator import (
    CoordinatorAgent,
    Gate,
    GateSettings,
    PolicyBook,
    Sealer,
    Verdicts,
    explain,
)
from agents.workflow import Heartbeat, Nudges, WorkflowAgent
from bus import Bus, open_bus
from contracts import (
    Clock,
    ConfigurationError,
    DecisionRecord,
    JsonObject,
    KeyRow,
    Policy,
    Role,
    Seals,
    fresh_key,
    new_id,
    split_key,
    stamp,
)
from gateways.http import Cursors, Door, serve_http
from runs import (
    Engine,
    HttpPolicy,
    Ports,
    Terms,
    Tools,
    open_tools,
    registered_functions,
)
from runs.admission import Admission
from runs.carriers import PolicyReloading, RunStarting, carriers
from runs.entry import RunEntry
from sluicegate import __version__
from sluicegate.config import Settings, load_policy
from sluicegate.credentials import credentials
from sluicegate.material import keep, open_seals
from store import Store, open_store

_TENANT = "default"
_HEARTBEAT_S = 5.0
_ONE_CLOCK_S = 5.0
"""All roles in one process read one clock: what is left is a call under way."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_FIRST_ROLES: tuple[Role, ...] = ("admin",)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: where it listens, and what it was made of."""

    url: str
    store: Store
    bus: Bus
    first_start: bool
    data_dir: Path


@dataclass(frozen=True, slots=True)
class _Parts:
    settings: Settings
    clock: Clock
    store: Store
    bus: Bus
    seals: Seals
    policies: PolicyBook


@asynccontextmanager
async def open_service(
    settings: Settings, clock: Clock, load: Callable[[], Policy] | None = None
) -> AsyncIterator[Service]:
    """Start everything bottom-up; at the end of the context stop it top-down.

    ``load`` reads the policy, now and at each reload; by default it is the settings'.

    Raises ConfigurationError for what cannot be started.
    """
    _refuse_open_doors(settings)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as life:
        loading = load or partial(load_policy, settings)
        parts = await _parts(settings, clock, loading, life)
        first = await _first_key(parts)
        await _start_worker(parts, life)
        await _start_coordinator(parts, life)
        port = await life.enter_async_context(
            serve_http(_door(parts), settings.server.host, settings.server.port)
        )
        host = settings.server.host
        url = settings.server.public_url or f"http://{host}:{port}"
        (settings.data_dir / "service.url").write_text(url + "\n", encoding="utf-8")
        yield Service(url, parts.store, parts.bus, first, settings.data_dir)


async def _parts(
    settings: Settings,
    clock: Clock,
    load: Callable[[], Policy],
    life: AsyncExitStack,
) -> _Parts:
    given = settings.keys.seal
    seals = open_seals(
        settings.data_dir,
        given=given.get_secret_value() if given else "",
        file=settings.keys.seal_file,
    )
    store = await life.enter_async_context(
        open_store(settings.store_url, synchronous=settings.store.synchronous)
    )
    bus = await life.enter_async_context(open_bus(settings.bus.url, clock))
    policies = PolicyBook(load, store.ledger, clock, tenant=_TENANT)
    await policies.enter()
    return _Parts(settings, clock, store, bus, seals, policies)


async def _start_worker(parts: _Parts, life: AsyncExitStack) -> None:
    # who claimed something before is an earlier process, and gone
    admission = Admission(parts.store, parts.seals, parts.clock, abandoned_s=0.0)
    tools = await life.enter_async_context(_tools(parts))
    engine = await life.enter_async_context(_engine(parts, admission, tools))
    agent = WorkflowAgent(
        entry=_entry(parts, admission, engine),
        engine=engine,
        bus=parts.bus,
        clock=parts.clock,
    )
    heartbeat = Heartbeat(
        parts.store.workers,
        engine,
        parts.clock,
        slots=parts.settings.runs.max_parallel,
        python_tools=tools.python_tools,
    )
    await heartbeat.beat()
    await life.enter_async_context(Nudges(parts.bus, engine))
    await life.enter_async_context(
        Activation(
            parts.bus,
            parts.clock,
            name="workflow-agent",
            ears=agent.ears(),
            chores=(heartbeat.chore(_HEARTBEAT_S),),
        )
    )


def _tools(parts: _Parts) -> AbstractAsyncContextManager[Tools]:
    http = parts.settings.tools.http
    return open_tools(
        parts.clock,
        policy=HttpPolicy(allow_private=http.allow_private, ports=http.ports),
        credentials=credentials(parts.settings),
        functions=registered_functions(),
    )


def _engine(parts: _Parts, admission: Admission, tools: Tools) -> Engine:
    runs = parts.settings.runs
    ports = Ports(
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
        authority=admission,
        tools=tools,
    )
    terms = Terms(
        max_parallel=runs.max_parallel,
        node_parallel=runs.node_parallel,
        lease_s=runs.lease_s,
        sweep_s=runs.sweep_s,
        verdict_ttl_s=parts.settings.gate.verdict_ttl_s,
        budgets=parts.policies.current.policy.budgets,
    )
    return Engine(ports, terms)


def _entry(parts: _Parts, admission: Admission, engine: Engine) -> RunEntry:
    starting = RunStarting(
        runs=parts.store.runs,
        definitions=parts.store.definitions,
        bus=parts.bus,
        worker=engine,
        budgets=parts.policies.current.policy.budgets,
    )
    return RunEntry(
        store=parts.store,
        clock=parts.clock,
        admission=admission,
        starting=starting,
        carriers={
            **carriers(parts.store, parts.bus, starting),
            "policy.reload": PolicyReloading(
                parts.policies.reload, admission.revoke_before
            ),
        },
    )


async def _start_coordinator(parts: _Parts, life: AsyncExitStack) -> None:
    settings = GateSettings(
        verdict_ttl_s=parts.settings.gate.verdict_ttl_s,
        sweep_s=parts.settings.runs.sweep_s,
        clock_skew_s=_ONE_CLOCK_S,
    )
    agent = CoordinatorAgent(
        gate=Gate(parts.store, parts.policies, parts.clock, settings),
        verdicts=Verdicts(parts.seals, settings),
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
    )
    sealer = Sealer(parts.store.ledger, parts.seals, parts.clock, tenant=_TENANT)
    await life.enter_async_context(
        Activation(
            parts.bus,
            parts.clock,
            name="coordinator",
            ears=agent.ears(),
            chores=(*agent.chores(), *sealer.chores()),
        )
    )
    await agent.take_over()


def _door(parts: _Parts) -> Door:
    server = parts.settings.server

    def explained(record: DecisionRecord) -> JsonObject:
        return explain(record, parts.policies.current)

    return Door(
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
        cursors=Cursors(_cursor_key(parts.settings.data_dir)),
        explain=explained,
        version=__version__,
        gate_deadline_s=parts.settings.gate.deadline_s,
        hosts=_LOOPBACK | {server.host, _host_of(server.public_url)},
    )


async def _first_key(parts: _Parts) -> bool:
    """Make the admin key of a fresh store; whether this was its first start."""
    known = await parts.store.keys.page(_TENANT, limit=1)
    given = parts.settings.keys.bootstrap_admin
    if known.items:
        return False

    whole = given.get_secret_value() if given else fresh_key()[1]
    named = split_key(whole)
    if named is None:
        raise ConfigurationError(
            "keys.bootstrap_admin has the form sg_<26 characters>_<32 or more>"
        )

    if given is None:
        # before its row: a start that is cut off here leaves no key nobody knows
        keep(parts.settings.data_dir / "admin.key", whole)

    subject = await parts.store.keys.subject(_TENANT, "admin", new_id("sub"))
    await parts.store.keys.create(
        KeyRow(
            id=named[0],
            tenant=_TENANT,
            subject=subject,
            subject_name="admin",
            roles=_FIRST_ROLES,
            secret_digest=named[1],
            label="made at the first start",
            created_at=stamp(parts.clock.now()),
        )
    )
    return True


def _cursor_key(data_dir: Path) -> bytes:
    path = data_dir / "cursor.key"
    if not path.exists():
        keep(path, secrets.token_urlsafe(32))

    return path.read_bytes()


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[0] or url


def _refuse_open_doors(settings: Settings) -> None:
    server = settings.server
    if server.host not in _LOOPBACK and not server.trusted_proxy:
        raise ConfigurationError(
            f"server.host: {server.host} is beyond loopback; put a proxy that ends "
            "TLS in front and set server.trusted_proxy = true"
        )
