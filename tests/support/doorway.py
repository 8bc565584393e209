"""The HTTP door on a real socket, store and bus, before a gate that does as told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio
from anyio.abc import SocketStream

from bus import Bus, open_bus
from contracts import (
    Approved,
    Awaiting,
    Decision,
    DecisionRecord,
    Envelope,
    JsonObject,
    KeyRow,
    Outcome,
    Refused,
    Role,
    RunEvent,
    RunEventSaid,
    RunRow,
    Verdict,
    caused,
    derived_id,
    fresh_key,
    later,
    said,
    secret_digest,
    stamp,
)
from gateways.http import Cursors, Door, serve_http
from store import Store, open_store
from tests.support.api import Api, open_api
from tests.support.entrance import seal
from tests.support.serving import AdjustableClock

TENANT = "default"
Ruling = Callable[["Gatekeeper", Envelope], Awaitable[None]]


@dataclass
class Gatekeeper:
    """Records and answers every decision by its ruling; keeps what it was asked."""

    store: Store
    bus: Bus
    clock: AdjustableClock
    ruling: Ruling
    asked: list[Envelope] = field(default_factory=list)

    async def on_decision(self, envelope: Envelope) -> None:
        """Rule on it."""
        self.asked.append(envelope)
        await self.ruling(self, envelope)

    @property
    def decisions(self) -> list[Decision]:
        """What was proposed."""
        return [decision_of(envelope) for envelope in self.asked]

    async def record(self, envelope: Envelope, verdict: Verdict) -> None:
        """Write the record of a verdict."""
        decision = decision_of(envelope)
        await self.store.decisions.record(
            DecisionRecord(
                decision=decision,
                decision_digest="sha256:0",
                action_digest="sha256:1",
                message_id=envelope.id,
                reply_to=envelope.reply_to,
                correlation_id=envelope.correlation_id,
                verdict=verdict,
                facts={},
                plan={"nodes": 3},
                policy_digest="sha256:3",
                rules=("permitted",),
                recorded_at=stamp(self.clock.now()),
                state="dry_run" if decision.dry_run else verdict.result,
            )
        )

    async def reply(self, envelope: Envelope, body: Verdict | Outcome) -> None:
        """Tell whoever asked."""
        at = stamp(self.clock.now())
        reply = caused(body, cause=envelope, by="gate", at=at, in_reply_to=envelope.id)
        await self.bus.reply(envelope.reply_to or "", reply)

    async def settle(self, envelope: Envelope, outcome: Outcome) -> None:
        """Write what came of it."""
        at = stamp(self.clock.now())
        await self.store.decisions.settle(TENANT, outcome.decision_id, outcome, at)


def decision_of(envelope: Envelope) -> Decision:
    """The decision that an envelope carries."""
    assert isinstance(envelope.body, Decision)
    return envelope.body


def approved(gate: Gatekeeper, envelope: Envelope) -> Approved:
    """A sealed verdict."""
    return seal(decision_of(envelope), stamp(gate.clock.now()))


def done(result: JsonObject) -> Ruling:
    """Approved, and carried out at once."""

    async def rule(gate: Gatekeeper, envelope: Envelope) -> None:
        verdict = approved(gate, envelope)
        await gate.record(envelope, verdict)
        outcome = Outcome(
            decision_id=verdict.decision_id, state="succeeded", result=result
        )
        await gate.settle(envelope, outcome)
        await gate.reply(envelope, verdict)
        if not decision_of(envelope).dry_run:
            await gate.reply(envelope, outcome)

    return rule


def failed(outcome: Callable[[str], Outcome]) -> Ruling:
    """Approved, and carried out with this outcome."""

    async def rule(gate: Gatekeeper, envelope: Envelope) -> None:
        verdict = approved(gate, envelope)
        await gate.record(envelope, verdict)
        ended = outcome(verdict.decision_id)
        await gate.settle(envelope, ended)
        await gate.reply(envelope, verdict)
        await gate.reply(envelope, ended)

    return rule


def refused(code: str = "refused", **details: Any) -> Ruling:
    """Refused."""

    async def rule(gate: Gatekeeper, envelope: Envelope) -> None:
        decision_id = decision_of(envelope).id
        verdict = Refused(
            id=derived_id("vrd", decision_id, "no"),
            decision_id=decision_id,
            code=code,
            message="Not today.",
            rules=("never", "nowhere"),
            details=details,
            issued_at=stamp(gate.clock.now()),
        )
        await gate.record(envelope, verdict)
        await gate.reply(envelope, verdict)

    return rule


async def asking(gate: Gatekeeper, envelope: Envelope) -> None:
    """People are asked."""
    decision_id = decision_of(envelope).id
    at = stamp(gate.clock.now())
    verdict = Awaiting(
        id=derived_id("vrd", decision_id, "ask"),
        decision_id=decision_id,
        approval_id=derived_id("apr", decision_id),
        rules=("ask-first",),
        approvers=("role:approver",),
        quorum=1,
        issued_at=at,
        expires_at=later(at, 60),
    )
    await gate.record(envelope, verdict)
    await gate.reply(envelope, verdict)


async def only_approved(gate: Gatekeeper, envelope: Envelope) -> None:
    """Approved, and nobody carries it out."""
    verdict = approved(gate, envelope)
    await gate.record(envelope, verdict)
    await gate.reply(envelope, verdict)


async def only_recorded(gate: Gatekeeper, envelope: Envelope) -> None:
    """Approved, and the answer is lost."""
    await gate.record(envelope, approved(gate, envelope))


async def silent(_: Gatekeeper, __: Envelope) -> None:
    """Nothing at all."""


class Doorway(NamedTuple):
    """The door, the gate behind it, and the API as an admin sees it."""

    door: Door
    gate: Gatekeeper
    api: Api
    port: int
    key: str

    @property
    def store(self) -> Store:
        """What the door reads."""
        return self.door.store

    @property
    def clock(self) -> AdjustableClock:
        """The time at the door."""
        return self.gate.clock

    async def holder(self, name: str, *roles: Role, tenant: str = TENANT) -> Api:
        """The API for the holder of a new key."""
        return self.api.as_holder_of(
            await new_key(self.store, name, *roles, tenant=tenant)
        )

    async def raw(self, data: bytes) -> bytes:
        """Everything that comes back for these bytes, to the end of the connection."""
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            await stream.send(data)
            return await received(stream)


@asynccontextmanager
async def open_doorway(
    ruling: Ruling | None = None, **more: Any
) -> AsyncIterator[Doorway]:
    """A door that listens; without a ruling everything is done."""
    clock = AdjustableClock()
    async with (
        open_store("sqlite://:memory:") as store,
        open_bus("memory://", clock) as bus,
    ):
        gate = Gatekeeper(store, bus, clock, ruling or done({}))
        bus.subscribe("decision", "coordinator", gate.on_decision)
        key = await new_key(store, "root", "admin", "approver")
        door = _door(store, bus, clock, **more)
        async with (
            serve_http(door, "127.0.0.1", 0) as port,
            open_api(f"http://127.0.0.1:{port}", key) as api,
        ):
            yield Doorway(door, gate, api, port, key)


def tell(doorway: Doorway, row: RunRow, event: RunEvent) -> None:
    """Broadcast an event, as the engine does once it is stored."""
    body = RunEventSaid(event=event)
    heard = said(body, by="worker", tenant=row.tenant, at=row.created_at)
    doorway.door.bus.broadcast(f"run:{row.id}", lambda: heard)


async def new_key(
    store: Store, name: str, *roles: Role, tenant: str = TENANT, **more: Any
) -> str:
    """A key that is good; ``more`` are fields of its row."""
    key_id, whole = fresh_key()
    given: dict[str, Any] = {
        "id": key_id,
        "tenant": tenant,
        "subject": f"sub_{name}",
        "subject_name": name,
        "roles": roles,
        "secret_digest": secret_digest(whole.split("_", 2)[2]),
        "created_at": "2026-11-21T00:00:00.000Z",
    }
    await store.keys.create(KeyRow(**{**given, **more}))
    return whole


class Told(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""

    body: bytes

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(json.loads(self.body)["code"])


def told(raw: bytes) -> Told:
    """The one answer in these bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    pairs = (field.split(": ", 1) for field in fields)
    return Told(int(line.split()[1]), {k.lower(): v for k, v in pairs}, body)


async def received(stream: SocketStream) -> bytes:
    """What comes until the other side closes."""
    parts = []
    with anyio.fail_after(5):
        try:
            while True:
                parts.append(await stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return b"".join(parts)


def _door(store: Store, bus: Bus, clock: AdjustableClock, **more: Any) -> Door:
    given: dict[str, Any] = {
        "store": store,
        "bus": bus,
        "clock": clock,
        "cursors": Cursors(b"c" * 32),
        "explain": lambda record: {"result": record.verdict.result, "stories": []},
        "version": "0",
        "gate_deadline_s": 2.0,
    }
    return Door(**{**given, **more})
