"""The run entry with a real store and bus, and verdicts as the gate seals them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from prometheus_client import REGISTRY

from bus import Bus, open_bus
from contracts import (
    ACTIONS,
    Action,
    Approved,
    Budget,
    Channel,
    Decision,
    DecisionRecord,
    JsonObject,
    KeyRow,
    Principal,
    Proposer,
    Role,
    RunRow,
    Seals,
    derived_id,
    digest,
    later,
    new_id,
    permissions_of,
    stamp,
)
from runs.admission import Admission
from runs.carriers import Carrier, RunStarting, carriers
from runs.entry import RunEntry
from store import Store, open_store
from tests.support.clock import FakeClock

TENANT = "default"
SEALS = Seals({"first": b"s" * 32}, "first")
PINS = {"workflow:greet": "sha256:2", "tool:pay": "sha256:4"}
RUN: JsonObject = {"workflow": "greet", "input": {"name": "Ada"}}
BUDGETS = (Budget(scope="tenant", meter="runs", window="day", limit=1_000),)


class Idle:
    """A worker that takes what it is given and drives nothing."""

    owner = "worker-1"
    lease_s = 15.0

    def __init__(self) -> None:
        self.free = True
        self.started: list[RunRow] = []

    def free_slot(self) -> bool:
        """See Worker."""
        return self.free

    def start(self, row: RunRow) -> None:
        """See Worker."""
        self.started.append(row)


class Entrance(NamedTuple):
    """The entry, and everything it stands on."""

    entry: RunEntry
    store: Store
    bus: Bus
    clock: FakeClock
    worker: Idle
    starting: RunStarting

    @property
    def now(self) -> str:
        """The time, as text."""
        return stamp(self.clock.now())

    async def holder(self, name: str = "ada", *roles: Role) -> Principal:
        """Somebody with a living key of these roles; an admin if none is given."""
        held = roles or ("admin",)
        key = KeyRow(
            id=derived_id("key", new_id("key"), name),
            tenant=TENANT,
            subject=f"sub_{name}",
            subject_name=name,
            roles=held,
            secret_digest="sha256:0",
            created_at=self.now,
        )
        await self.store.keys.create(key)
        return Principal(
            id=key.id,
            kind="api_key",
            subject=key.subject,
            permissions=permissions_of(held),
            tenant=TENANT,
        )

    async def approve(
        self, action: Action, args: JsonObject, by: Principal | None = None, **more: Any
    ) -> Approved:
        """A recorded decision's verdict; ``more`` is sealed in place of what is due."""
        decision = self.decide(action, args, by or await self.holder())
        verdict = seal(decision, self.now, **more)
        await self.store.decisions.record(recorded(decision, verdict))
        return verdict

    def decide(self, action: Action, args: JsonObject, by: Principal) -> Decision:
        """A decision that was just proposed."""
        return Decision(
            id=new_id("dec"),
            action=action,
            args=args,
            proposer=Proposer(kind="user", id=by.id),
            principal=by,
            channel=Channel(kind="http"),
            not_after=later(self.now, 5),
            created_at=self.now,
        )

    def another(self, own: dict[str, Carrier] | None = None) -> RunEntry:
        """The entry of another process on the same store."""
        return _entry(self.store, self.bus, self.clock, self.starting, own)


@asynccontextmanager
async def open_entrance() -> AsyncIterator[Entrance]:
    """An entry before an empty store."""
    clock, worker = FakeClock(), Idle()
    async with (
        open_store("sqlite://:memory:") as store,
        open_bus("memory://", clock) as bus,
    ):
        starting = RunStarting(
            runs=store.runs,
            definitions=store.definitions,
            bus=bus,
            worker=worker,
            budgets=lambda: BUDGETS,
        )
        entry = _entry(store, bus, clock, starting)
        yield Entrance(entry, store, bus, clock, worker, starting)


def seal(decision: Decision, at: str, **more: Any) -> Approved:
    """The verdict that lets a decision through for five minutes."""
    plain = decision.model_dump(mode="json", exclude={"not_after"})
    action = {"action": decision.action, "args": decision.args, "pins": PINS}
    carrier = ACTIONS[decision.action].carrier
    given: dict[str, Any] = {
        "id": derived_id("vrd", decision.id, "0"),
        "decision_id": decision.id,
        "decision_digest": digest(plain),
        "action_digest": digest(action),
        "tenant": decision.principal.tenant,
        "subject": decision.principal.subject,
        "audience": "workflow" if carrier == "entry" else carrier,
        "pins": PINS,
        "limits": {},
        "policy_digest": "sha256:3",
        "rules": ("permitted",),
        "would_refuse": False,
        "would_ask": False,
        "issued_at": at,
        "expires_at": later(at, 300),
    }
    return SEALS.sealed({**given, **more})


def recorded(decision: Decision, verdict: Approved) -> DecisionRecord:
    """The record of an approved decision."""
    return DecisionRecord(
        decision=decision,
        decision_digest=verdict.decision_digest,
        action_digest=verdict.action_digest,
        message_id=new_id("msg"),
        correlation_id=new_id("msg"),
        verdict=verdict,
        facts={},
        plan={"version": 3},
        policy_digest=verdict.policy_digest,
        rules=verdict.rules,
        recorded_at=verdict.issued_at,
        state="approved",
    )


def counted(name: str, **labels: str) -> float:
    """What a counter has come to, over all labels that are not given."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == f"sluicegate_{name}_total"
        and labels.items() <= sample.labels.items()
    )


def _entry(
    store: Store,
    bus: Bus,
    clock: FakeClock,
    starting: RunStarting,
    own: dict[str, Carrier] | None = None,
) -> RunEntry:
    return RunEntry(
        store=store,
        clock=clock,
        admission=Admission(store, SEALS, clock),
        starting=starting,
        carriers=carriers(store, bus, starting) if own is None else own,
    )
