"""An engine in a small world: a store in memory, a bus, a clock and a scripted gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
from anyio.lowlevel import checkpoint

from bus import Bus, open_bus
from contracts import (
    Approved,
    Awaiting,
    Decision,
    DecisionRecord,
    Envelope,
    InboxItem,
    JsonObject,
    Lease,
    Origin,
    Pins,
    Principal,
    Refused,
    RunEvent,
    RunRow,
    RunState,
    SluicegateError,
    Verdict,
    VerdictRefused,
    derived_id,
    digest,
    later,
    new_id,
    stamp,
)
from contracts.definitions import ToolKind
from runs.effects import CallResult, Succeeded
from runs.engine import Engine, Ports, Terms
from runs.tools import ToolCall, Tools
from store import Store, open_store
from tests.support.clock import FakeClock
from tests.support.histories import check_history
from tests.support.models import ModelOf

TENANT = "default"
LONG = "2030-01-01T00:00:00.000Z"

Script = Callable[[ToolCall], Awaitable[CallResult]]
Ruling = Callable[[Decision], Verdict]


class ScriptedTools:
    """Executor of every kind: keeps the calls, answers by tool as told.

    A tool without a script echoes its input.
    """

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.scripts: dict[str, Script] = {}

    async def __call__(self, call: ToolCall) -> CallResult:
        self.calls.append(call)
        script = self.scripts.get(call.tool.name)
        return Succeeded(call.input) if script is None else await script(call)

    def answers(self, tool: str, *results: CallResult) -> None:
        """These results in order, the last one for good."""
        left = list(results)

        async def script(_: ToolCall) -> CallResult:
            return left.pop(0) if len(left) > 1 else left[0]

        self.scripts[tool] = script

    def holds(self, tool: str) -> anyio.Event:
        """Calls of the tool wait until the event is set, then echo."""
        free = anyio.Event()

        async def script(call: ToolCall) -> CallResult:
            await free.wait()
            return Succeeded(call.input)

        self.scripts[tool] = script
        return free

    def keys(self) -> list[str]:
        """The idempotency keys of all calls, in order."""
        return [call.key for call in self.calls]


class ScriptedAuthority:
    """Lets in what the world's gate approved; refuses what it is told to refuse."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.refusals: dict[str, SluicegateError] = {}
        """By tool: what ``still_allowed`` raises; the empty name is for all."""

        self.not_admitted: list[VerdictRefused] = []
        """What the next ``admit`` raises, once each."""

    async def admit(self, run: RunRow, verdict: Approved) -> DecisionRecord:
        if self.not_admitted:
            raise self.not_admitted.pop(0)

        record = await self._world.store.decisions.get(run.tenant, verdict.decision_id)
        if record is None or record.decision.run_id != run.id:
            raise VerdictRefused

        return record

    async def still_allowed(self, run: RunRow, tool: str) -> None:
        for name in (tool, ""):
            if name in self.refusals:
                raise self.refusals[name]


class ScriptedGate:
    """A coordinator that rules as told, and lays every verdict into the run's inbox.

    Without a ruling it approves. It records what it rules on, as a coordinator does.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.proposed: list[Decision] = []
        self.ruling: Ruling = self.approve
        self.silent = False

    async def on_decision(self, envelope: Envelope) -> None:
        decision = envelope.body
        assert isinstance(decision, Decision)
        self.proposed.append(decision)
        if not self.silent:
            await self.rule(decision, self.ruling(decision))

    async def rule(self, decision: Decision, verdict: Verdict) -> None:
        """Record a verdict and tell the run."""
        await self._world.store.decisions.record(_record(decision, verdict))
        if decision.proposer.kind == "run" and decision.run_id is not None:
            item = InboxItem(
                id=f"verdict:{verdict.id}",
                kind="verdict",
                at=self._world.now,
                body=verdict.plain(),
            )
            await self._world.put(decision.run_id, item)

    def approve(self, decision: Decision, n: int = 0) -> Approved:
        return Approved(
            id=derived_id("vrd", decision.id, n),
            decision_id=decision.id,
            decision_digest="sha256:0",
            action_digest="sha256:1",
            tenant=TENANT,
            subject=decision.principal.subject,
            audience="workflow",
            pins={},
            limits={},
            policy_digest="sha256:3",
            rules=("allow-all",),
            issued_at=self._world.now,
            expires_at=LONG,
            key_id="first",
            seal="0" * 64,
        )

    def ask(self, decision: Decision) -> Awaiting:
        return Awaiting(
            id=derived_id("vrd", decision.id, "ask"),
            decision_id=decision.id,
            approval_id=derived_id("apr", decision.id),
            rules=("ask-first",),
            approvers=("role:approver",),
            quorum=1,
            issued_at=self._world.now,
            expires_at=later(self._world.now, 600),
        )

    def refuse(self, decision: Decision, code: str = "refused") -> Refused:
        return Refused(
            id=derived_id("vrd", decision.id, "no"),
            decision_id=decision.id,
            code=code,
            message="No.",
            rules=("never",),
            issued_at=self._world.now,
        )


class World:
    """Everything an engine stands in, and the ways to look at what it did."""

    def __init__(self, store: Store, bus: Bus, clock: FakeClock) -> None:
        self.store = store
        self.bus = bus
        self.clock = clock
        self.tools = ScriptedTools()
        self.model = ModelOf()
        self.gate = ScriptedGate(self)
        self.authority = ScriptedAuthority(self)
        self.engines: list[Engine] = []

    @property
    def now(self) -> str:
        return stamp(self.clock.now())

    def engine(self, *, store: Store | None = None, **terms: Any) -> Engine:
        """An engine that is not entered yet; ``store`` is the world's as it sees it."""
        kinds: tuple[ToolKind, ...] = ("http", "python", "builtin")
        ports = Ports(
            store=store or self.store,
            bus=self.bus,
            clock=self.clock,
            authority=self.authority,
            tools=Tools(dict.fromkeys(kinds, self.tools)),
            model=self.model,
        )
        engine = Engine(ports, Terms(**terms))
        self.engines.append(engine)
        return engine

    async def keep(self, kind: str, body: JsonObject) -> tuple[str, str]:
        """Archive a definition; its pin."""
        key = digest(body)
        await self.store.definitions.keep(TENANT, key, body)
        return f"{kind}:{body['name']}", key

    async def row(self, workflow: JsonObject, *used: JsonObject, **more: Any) -> RunRow:
        """A run's row that is not stored yet; it uses these tools and stages."""
        pins: Pins = dict([await self.keep(_kind(body), body) for body in used])
        name, workflow_digest = await self.keep("workflow", workflow)
        decision_id = more.pop("decision_id", new_id("dec"))
        given: dict[str, Any] = {
            "id": derived_id("run", decision_id, "0"),
            "tenant": TENANT,
            "workflow": workflow["name"],
            "workflow_version": 1,
            "workflow_digest": workflow_digest,
            "decision_id": decision_id,
            "correlation_id": new_id("msg"),
            "input": {"name": "Ada"},
            "pins": {name: workflow_digest, **pins},
            "principal": Principal(
                id="key_ada",
                kind="api_key",
                subject="sub_ada",
                permissions=("workflow.run",),
                tenant=TENANT,
            ),
            "origin": Origin(kind="schedule", attended=False),
            "created_at": self.now,
        }
        return RunRow(**{**given, **more})

    async def create(
        self, workflow: JsonObject, *tools: JsonObject, **more: Any
    ) -> RunRow:
        """A stored run that nobody drives."""
        return (await self.store.runs.create(await self.row(workflow, *tools, **more)))[
            0
        ]

    async def start(
        self, engine: Engine, workflow: JsonObject, *tools: JsonObject, **more: Any
    ) -> RunRow:
        """A run that the engine owns from its first moment."""
        lease = Lease(owner=engine.owner, until=later(self.now, engine.lease_s))
        row = await self.create(workflow, *tools, lease=lease, **more)
        engine.start(row)
        return row

    async def put(self, run_id: str, item: InboxItem) -> bool:
        """Lay something into the inbox and nudge, as the run entry does."""
        first = await self.store.runs.put(TENANT, run_id, item)
        for engine in self.engines:
            engine.nudge(run_id, TENANT)

        return first

    async def tell(
        self,
        run_id: str,
        kind: Literal["cancel", "resume", "retry", "signal", "start"],
        key: str = "",
        **body: Any,
    ) -> bool:
        """What the run entry puts for cancel, resume, retry, signal and start."""
        if kind in ("resume", "retry", "start") and not key:
            waits = (await self.state(run_id)).waiting_on
            key = next(f"answer:{w['point']}" for w in waits if "point" in w)

        item = InboxItem(
            id=key or kind, kind=kind, at=self.now, body={"by": "sub_ada", **body}
        )
        return await self.put(run_id, item)

    async def settle(self, seconds: float = 0.0) -> None:
        """Let everything that can happen now, or within so many seconds, happen."""
        for _ in range(3):
            await self._let_happen()
            await self.clock.advance(seconds / 3)
            await self._let_happen()

    async def _let_happen(self) -> None:
        for _ in range(20):
            await self.store.ping()
            await checkpoint()

    async def get(self, run_id: str) -> RunRow:
        row = await self.store.runs.get(TENANT, run_id)
        assert row is not None
        return row

    async def state(self, run_id: str) -> RunState:
        return (await self.get(run_id)).state

    async def log(self, run_id: str) -> tuple[RunEvent, ...]:
        """The run's events, checked to be an honest history."""
        events = await self.store.runs.events(TENANT, run_id, limit=10_000)
        check_history(await self.get(run_id), events)
        return events

    async def types(self, run_id: str) -> list[str]:
        return [event.type for event in await self.log(run_id)]


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """A world whose gate hears every proposal; its engines are the test's to enter."""
    clock = FakeClock()
    async with (
        open_store("sqlite://:memory:") as store,
        open_bus("memory://", clock) as bus,
    ):
        world = World(store, bus, clock)
        bus.subscribe("decision", "coordinator", world.gate.on_decision)
        yield world


def _record(decision: Decision, verdict: Verdict) -> DecisionRecord:
    return DecisionRecord(
        decision=decision,
        decision_digest="sha256:0",
        action_digest="sha256:1",
        message_id=new_id("msg"),
        correlation_id=new_id("msg"),
        verdict=verdict,
        facts={},
        policy_digest="sha256:3",
        rules=(),
        recorded_at=decision.created_at,
        state=verdict.result,
    )


def _kind(body: JsonObject) -> str:
    return "stage" if "instructions" in body else "tool"
