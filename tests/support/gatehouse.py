"""The gate with a real store and a real bus, and people who propose to it."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from agents import Activation
from agents.coordinator import (
    CoordinatorAgent,
    Gate,
    GateSettings,
    PolicyBook,
    Verdicts,
)
from bus import Bus, open_bus
from contracts import (
    Approval,
    Approved,
    Awaiting,
    Channel,
    Decision,
    DecisionRecord,
    Envelope,
    FreezeRow,
    JsonObject,
    Origin,
    Outcome,
    Policy,
    Principal,
    Proposer,
    Refused,
    Role,
    RunRow,
    Seals,
    Verdict,
    derived_id,
    digest,
    later,
    new_id,
    permissions_of,
    read,
    said,
    stamp,
)
from contracts.definitions import Head
from store import Store, open_store
from tests.support.clock import FakeClock

TENANT = "default"
SEALS = Seals({"first": b"s" * 32}, "first")
CONFIG = Path(__file__).parents[2] / "config.toml"

GREET: JsonObject = {
    "name": "greet",
    "nodes": [
        {
            "id": "start",
            "type": "workflow_start",
            "input_schema": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            },
        },
        {"id": "shout", "type": "transform", "output": {"text": "${start.name}"}},
        {"id": "end", "type": "workflow_end", "output": {"text": "${shout.text}"}},
    ],
    "edges": [{"from": "start", "to": "shout"}, {"from": "shout", "to": "end"}],
}
"""A workflow of pure nodes."""


def tool(name: str = "pay", **more: Any) -> JsonObject:
    """A tool that costs money."""
    return {
        "name": name,
        "kind": "builtin",
        "function": "echo",
        "effect": "non_idempotent",
        "risk": "high",
        "input_schema": {
            "type": "object",
            "properties": {"amount": {"type": "number"}},
            "required": ["amount"],
        },
        **more,
    }


def paying(name: str = "payday", **node: Any) -> JsonObject:
    """A workflow whose node ``pay`` calls the tool ``pay``, after one that asks."""
    return {
        "name": name,
        "nodes": [
            {"id": "start", "type": "workflow_start"},
            {"id": "sign_off", "type": "approval", "approvers": ["role:admin"]},
            {
                "id": "pay",
                "type": "tool",
                "tool": "pay",
                "input": {"amount": 1},
                **node,
            },
            {"id": "end", "type": "workflow_end", "output": {}},
        ],
        "edges": [
            {"from": "start", "to": "sign_off"},
            {"from": "sign_off", "to": "pay"},
            {"from": "pay", "to": "end"},
        ],
    }


def person(name: str, *roles: Role, key: str = "", tenant: str = TENANT) -> Principal:
    """Somebody with these roles; another ``key`` is another credential of theirs."""
    return Principal(
        id=f"key_{key or name}",
        kind="api_key",
        subject=f"sub_{name}",
        permissions=permissions_of(roles),
        tenant=tenant,
    )


ADA = person("ada", "builder")
BOB = person("bob", "approver")
EVE = person("eve", "approver")
ROOT = person("root", "admin")


def frozen(scope: Any = "tenant", name: str = "") -> FreezeRow:
    """A freeze that somebody set some time ago."""
    at = "2026-11-20T00:00:00.000Z"
    return FreezeRow(
        tenant=TENANT, scope=scope, name=name, reason="Fire.", by="sub_root", at=at
    )


def shipped() -> Policy:
    """The policy of config.toml."""
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    gate = {key: config["gate"][key] for key in ("mode", "default", "rules")}
    return read(Policy, {**gate, "budgets": config["budgets"]})


class Answer:
    """What came back for one decision."""

    def __init__(self, replies: tuple[Envelope, ...]) -> None:
        self.envelopes = replies
        self.bodies = [reply.body for reply in replies]

    @property
    def verdict(self) -> Verdict:
        return next(
            b for b in self.bodies if isinstance(b, Approved | Refused | Awaiting)
        )

    @property
    def refused(self) -> Refused:
        assert isinstance(self.verdict, Refused), self.verdict
        return self.verdict

    @property
    def approved(self) -> Approved:
        assert isinstance(self.verdict, Approved), self.verdict
        return self.verdict

    @property
    def awaiting(self) -> Awaiting:
        assert isinstance(self.verdict, Awaiting), self.verdict
        return self.verdict

    @property
    def outcome(self) -> Outcome:
        return next(body for body in self.bodies if isinstance(body, Outcome))


class Gatehouse:
    """A coordinator at work; ``performing`` is what reached the workflow agent."""

    def __init__(self, store: Store, bus: Bus, clock: FakeClock) -> None:
        self.store = store
        self.bus = bus
        self.clock = clock
        self.policy = shipped()
        self.performing: list[Envelope] = []
        self.book = PolicyBook(lambda: self.policy, store, clock)
        self.settings = GateSettings()
        self.agent = self.coordinator(store)

    def coordinator(self, store: Store) -> CoordinatorAgent:
        """A coordinator over this store."""
        return CoordinatorAgent(
            gate=Gate(store, self.book, self.clock, self.settings),
            verdicts=Verdicts(SEALS, self.settings),
            store=store,
            bus=self.bus,
            clock=self.clock,
        )

    @property
    def now(self) -> str:
        return stamp(self.clock.now())

    async def perform(self, envelope: Envelope) -> None:
        self.performing.append(envelope)

    def decision(
        self, action: Any, args: JsonObject, who: Principal = ADA, **more: Any
    ) -> Decision:
        given: dict[str, Any] = {
            "id": new_id("dec"),
            "action": action,
            "args": args,
            "proposer": Proposer(kind="user", id=who.subject),
            "principal": who,
            "channel": Channel(kind="http"),
            "not_after": later(self.now, 5),
            "created_at": self.now,
        }
        return Decision(**{**given, **more})

    def envelope(self, decision: Decision, **more: Any) -> Envelope:
        tenant = decision.principal.tenant
        return said(decision, by="test", tenant=tenant, at=self.now, **more)

    async def propose(
        self, action: Any, args: JsonObject, who: Principal = ADA, **more: Any
    ) -> Answer:
        """Propose a decision and wait for all that the coordinator says of it."""
        return await self.ask(self.decision(action, args, who, **more))

    async def ask(self, decision: Decision) -> Answer:
        replies = await self.bus.ask(
            self.envelope(decision), timeout_s=5, until=_is_final(decision)
        )
        return Answer(replies)

    async def run_greet(self, who: Principal = ADA, **more: Any) -> Answer:
        args = {"workflow": "greet", "input": {"name": "Ada"}}
        return await self.propose("workflow.run", args, who, **more)

    async def vote(
        self, approval_id: str, who: Principal = BOB, *, grant: bool = True
    ) -> Answer:
        action = "approval.grant" if grant else "approval.refuse"
        return await self.propose(action, {"approval_id": approval_id}, who)

    async def define(self, kind: Any, body: JsonObject, **more: Any) -> Head:
        """Save a definition past the gate."""
        known = await self.store.definitions.head(TENANT, kind, body["name"])
        head = Head(
            id=known.id if known else new_id("def"),
            tenant=TENANT,
            kind=kind,
            name=body["name"],
            version=1,
            digest=digest(body),
            created_at=self.now,
            created_by="test",
            decision_id=new_id("dec"),
            body=body,
            **more,
        )
        version = known.version if known else None
        return await self.store.definitions.save(head, expected_version=version)

    async def run_of(self, workflow: JsonObject, *tools: JsonObject) -> RunRow:
        """A run under way of a workflow and its tools, as ADA started it."""
        heads = [await self.define("tool", one) for one in tools]
        head = await self.define("workflow", workflow)
        decision_id = new_id("dec")
        run = RunRow(
            id=derived_id("run", decision_id, "0"),
            tenant=TENANT,
            workflow=head.name,
            workflow_version=1,
            workflow_digest=head.digest,
            decision_id=decision_id,
            correlation_id=new_id("msg"),
            input={},
            pins={f"{one.kind}:{one.name}": one.digest for one in (head, *heads)},
            principal=ADA,
            origin=Origin(kind="api"),
            created_at=self.now,
        )
        stored, _ = await self.store.runs.create(run)
        return stored

    async def in_run(self, run: RunRow, action: Any, args: JsonObject) -> Verdict:
        """Let a run propose, and read the verdict in its inbox."""
        decision = self.decision(
            action,
            args,
            run.principal,
            proposer=Proposer(kind="run", id=run.id),
            run_id=run.id,
        )
        await self.agent.on_decision(decision, self.envelope(decision))
        return (await self.verdicts_of(run))[-1]

    async def verdicts_of(self, run: RunRow) -> list[Verdict]:
        items = await self.store.runs.drain(TENANT, run.id)
        bodies = [item.body for item in items if item.kind == "verdict"]
        return [read(_MODELS[body["result"]], body) for body in bodies]

    async def record(self, decision_id: str) -> DecisionRecord:
        record = await self.store.decisions.get(TENANT, decision_id)
        assert record is not None
        return record

    async def approval(self, approval_id: str) -> Approval:
        approval = await self.store.approvals.get(TENANT, approval_id)
        assert approval is not None
        return approval

    async def until_performing(self, count: int) -> None:
        with anyio.fail_after(5):
            while len(self.performing) < count:
                await anyio.lowlevel.checkpoint()


_MODELS: dict[str, Any] = {
    "approved": Approved,
    "refused": Refused,
    "awaiting": Awaiting,
}


def _is_final(decision: Decision) -> Any:
    """Whether a reply is the last that the coordinator itself sends."""
    told = decision.dry_run or decision.action.startswith("approval.")

    def is_final(reply: Envelope) -> bool:
        return not (told and isinstance(reply.body, Approved))

    return is_final


@asynccontextmanager
async def open_gatehouse(clock: FakeClock) -> AsyncIterator[Gatehouse]:
    """A gatehouse whose coordinator is fed by the bus."""
    async with (
        open_store("sqlite://:memory:") as store,
        open_bus("memory://", clock) as bus,
    ):
        house = Gatehouse(store, bus, clock)
        bus.subscribe("verdict", "workflow", house.perform)
        ears = house.agent.ears()
        async with Activation(bus, clock, name="coordinator", ears=ears):
            yield house
