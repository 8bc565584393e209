"""Gated durable runs per second: pure and effectful, one at a time and 64 at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from bench.definitions import ECHO, EFFECTFUL, PURE
from bench.report import report
from contracts import (
    Action,
    Channel,
    Decision,
    JsonObject,
    Outcome,
    Principal,
    Proposer,
    derived_id,
    later,
    new_id,
    permissions_of,
    said,
    stamp,
)
from contracts.envelope import RunEnded
from sluicegate.clock import SystemClock
from sluicegate.config import Settings
from sluicegate.process import spare_collector
from sluicegate.wiring import Service, open_service

_CLOCK = SystemClock()


async def measure() -> None:
    """Print runs per second, their times, and the store's writes for each."""
    async with _service() as service:
        bench = await Bench.prepared(service)
        for name, values in (
            ("bench-pure", {"name": "Ada"}),
            ("bench-effectful", {"n": 1}),
        ):
            await bench.run(name, values, runs=200, at_once=8)
            spare_collector()
            await bench.report(Case(name, values, 500, 1))
            await bench.report(Case(name, values, 3_000, 64))


@asynccontextmanager
async def _service() -> AsyncIterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate(settings_of(Path(folder)))
        async with open_service(settings, _CLOCK) as service:
            yield service


def settings_of(folder: Path) -> JsonObject:
    """The settings of a service that is measured: high risk asks, all else may run."""
    rule = {"id": "permitted", "when": "decision.principal.kind != 'anonymous'"}
    high = {
        "id": "high",
        "when": "decision.action in ['workflow.run', 'tool.call'] "
        "&& facts.plan.risk == 'high'",
        "then": "ask",
    }
    return {
        "data_dir": folder,
        "server": {"port": 0},
        "gate": {"rules": [{**rule, "then": "allow"}, high]},
        "runs": {"max_parallel": 64},
    }


class Case(NamedTuple):
    """Runs of one workflow with one input: how many, and how many at once."""

    name: str
    values: JsonObject
    runs: int
    at_once: int


class Bench:
    """Proposes runs on a service and waits for their ends."""

    def __init__(self, service: Service, principal: Principal) -> None:
        self._service = service
        self._principal = principal

    @classmethod
    async def prepared(cls, service: Service) -> Bench:
        """A bench whose workflows are saved."""
        (key,) = (await service.store.keys.page("default", limit=1)).items
        principal = Principal(
            id=key.id,
            kind="api_key",
            subject=key.subject,
            permissions=permissions_of(key.roles),
            tenant="default",
        )
        bench = cls(service, principal)
        await bench._propose("tool.save", {"definition": ECHO}, new_id("dec"))
        for workflow in (PURE, EFFECTFUL):
            args = {"definition": workflow}
            await bench._propose("workflow.save", args, new_id("dec"))

        return bench

    async def report(
        self, case: Case, *, where: str = "", beside: float | None = None
    ) -> float:
        """Measure and print a case; the runs per second.

        ``beside`` is the rate that it is told as a ratio of.
        """
        writes = _writes(self._service)
        began = time.perf_counter()
        took = await self.run(*case[:2], runs=case.runs, at_once=case.at_once)
        rate = case.runs / (time.perf_counter() - began)
        ms = [seconds * 1_000 for seconds in took]
        report(
            "durable gated runs",
            f"{where}{case.name}, {case.at_once} at once",
            rate,
            "per second",
            p50_ms=median(ms),
            p99_ms=quantiles(ms, n=100)[98],
            **_counted("writes_per_run", writes, _writes(self._service), case.runs),
            **({"of_embedded": rate / beside} if beside else {}),
        )
        return rate

    async def run(
        self, name: str, values: JsonObject, *, runs: int, at_once: int
    ) -> list[float]:
        """The time of each run in seconds, from the proposal to the end."""
        times: list[float] = []

        async def caller() -> None:
            for _ in range(runs // at_once):
                began = time.perf_counter()
                await self._run(name, values)
                times.append(time.perf_counter() - began)

        await asyncio.gather(*(caller() for _ in range(at_once)))
        return times

    async def _run(self, name: str, values: JsonObject) -> None:
        decision_id = new_id("dec")
        run_id = derived_id("run", decision_id, "0")
        async with self._service.bus.listen(f"run:{run_id}:rest") as heard:
            args = {"workflow": name, "input": values}
            await self._propose("workflow.run", args, decision_id)
            async for envelope in heard:
                if isinstance(envelope.body, RunEnded):
                    if envelope.body.status != "completed":
                        raise RuntimeError(f"{run_id} {envelope.body.status}")

                    return

    async def _propose(
        self, action: Action, args: JsonObject, decision_id: str
    ) -> None:
        at = stamp(_CLOCK.now())
        decision = Decision(
            id=decision_id,
            action=action,
            args=args,
            proposer=Proposer(kind="user", id=self._principal.id),
            principal=self._principal,
            channel=Channel(kind="http"),
            not_after=later(at, 30),
            created_at=at,
        )
        bus = self._service.bus
        asked = said(
            decision, by="bench", tenant="default", at=at, reply_to=bus.address
        )
        *_, last = await bus.ask(
            asked, timeout_s=30, until=lambda reply: not _is_approved(reply.body)
        )
        if not (isinstance(last.body, Outcome) and last.body.state == "succeeded"):
            raise RuntimeError(f"{action}: {last.body}")


def _writes(service: Service) -> int | None:
    """How many writes an embedded store was given so far."""
    database = getattr(service.store, "database", None)
    return getattr(database, "written", None)


def _counted(
    name: str, before: int | None, after: int | None, runs: int
) -> dict[str, float]:
    """A figure a run, of a store that counts."""
    if before is None or after is None:
        return {}

    return {name: (after - before) / runs}


def _is_approved(body: object) -> bool:
    return getattr(body, "result", None) == "approved"
