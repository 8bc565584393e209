"""The engine of one worker: owns runs by lease and drives each to its rest.

Recovery is the ordinary path: a run is taken up from its log, whoever had it before.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from functools import partial
from types import TracebackType
from typing import Self

import anyio
import structlog

from contracts import (
    RunRow,
    SequenceConflict,
    StoreUnavailable,
    TemporaryError,
    later,
    seconds_between,
    stamp,
)
from runs.engine.alarms import Alarms
from runs.engine.claim import Claim, claimed
from runs.engine.driver import Driver
from runs.engine.planning import PinnedPlans
from runs.engine.ports import Equipment, Ports, Terms
from runs.engine.settling import settle_ended

_log = structlog.get_logger()

_MOST_RINGS = 10_000
_SWEPT = 1_000
_ALARM_WITHIN_S = 3_600.0
"""Later times are left to the sweep."""

_CANCEL_S = 5.0


class Engine:
    """Owns runs and drives them.

    Guarantees: a run is driven by one owner at a time; an owner that lost its claim
    writes nothing more; a crash at any moment leaves what another engine, or this one
    started again, goes on from. ``async with`` starts it; leaving stops before the next
    effect, records calls under way and gives every run back.
    """

    def __init__(self, ports: Ports, terms: Terms | None = None) -> None:
        self.owner = f"worker-{secrets.token_hex(8)}"
        """This process, as runs name their owner: fresh at every start."""

        self.terms = terms or Terms()
        self.lease_s = self.terms.claim_s
        """How long a claim holds: for who makes a row that is ours from the start."""

        self._ports = ports
        self._equipment = Equipment(
            ports, self.terms, PinnedPlans(ports.store.definitions)
        )
        self._drivers: dict[str, Driver] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._claiming: set[str] = set()
        self._rings: dict[tuple[str, str], None] = {}
        """Runs to look at when a slot is free, in order."""

        self._alarms = Alarms(ports.clock, self._on_alarm)
        self._chores: list[asyncio.Task[None]] = []
        self._open = False

    @property
    def running(self) -> int:
        """How many runs are driven here."""
        return len(self._drivers)

    def free_slot(self) -> bool:
        """Whether a run started now would begin at once."""
        taken = len(self._drivers) + len(self._claiming)
        return self._open and taken < self.terms.max_parallel

    def start(self, row: RunRow) -> None:
        """Drive a run that was made with our lease in it; returns at once."""
        claim = Claim(self._ports, self.terms, self.owner, row)
        self._work_on(row, claim, fresh=True)

    async def ring(self, tenant: str, run_id: str) -> None:
        """Look at a run: claim and drive it if nobody does.

        Without a free slot it is remembered until there is one. Raises
        StoreUnavailable.
        """
        if run_id in self._drivers:
            self._drivers[run_id].ring(mail=True)
        elif self.free_slot():
            await self._take(tenant, run_id)
        elif self._open and len(self._rings) < _MOST_RINGS:
            self._rings[(tenant, run_id)] = None

    def nudge(self, run_id: str, tenant: str | None = None) -> None:
        """Something lies in the inbox of a run.

        Whoever drives it looks at once; if nobody does, it is claimed when ``tenant``
        is given, else the sweep finds it.
        """
        if run_id in self._drivers:
            self._drivers[run_id].ring(mail=True)
        elif tenant is not None and self._open:
            self._spawn(self._ring_or_leave(tenant, run_id), f"ring {run_id}")

    async def sweep(self) -> int:
        """Find runs that want a worker and have none; how many were found.

        Safe with any number of engines: each claims what it drives.
        """
        now = stamp(self._ports.clock.now())
        rows = await self._ports.store.runs.stale(now, limit=_SWEPT)
        found = [row for row in rows if self._is_free(row, now)]
        if found:
            _log.info("sweep.found", runs=len(found), worker=self.owner)

        for row in found:
            await self.ring(row.tenant, row.id)

        await settle_ended(self._ports.store, now)
        return len(found)

    async def __aenter__(self) -> Self:
        """Void the leases of an embedded store's last process, and begin to sweep."""
        await self._ports.store.runs.abandoned_by_restart()
        self._open = True
        self._chores = [
            asyncio.create_task(self._alarms.run(), name="engine alarms"),
            asyncio.create_task(self._keep_claims(), name="engine claims"),
            asyncio.create_task(self._keep_sweeping(), name="engine sweep"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop before the next effect, record calls under way, give runs back."""
        self._open = False
        for driver in self._drivers.values():
            driver.leave()

        await self._wait(self.terms.close_s)
        for task in (*self._tasks, *self._chores):
            task.cancel()

        await self._wait(_CANCEL_S, *self._chores)

    async def _wait(self, seconds: float, *more: asyncio.Task[None]) -> None:
        """Until every task of a run has ended, but not longer."""
        tasks = {*self._tasks, *more}
        if tasks:
            with anyio.CancelScope(shield=True), anyio.move_on_after(seconds):
                await asyncio.wait(tasks)

    def _is_free(self, row: RunRow, now: str) -> bool:
        """Whether nobody has the run, or whoever had it is gone for the grace time."""
        if row.id in self._drivers:
            return False

        grace = later(now, -self.terms.grace_s)
        return row.lease is None or row.lease.until <= grace

    async def _take(self, tenant: str, run_id: str) -> None:
        """Claim a run and drive it; one attempt at a time, which finds everything."""
        if run_id in self._claiming:
            return

        self._claiming.add(run_id)
        try:
            got = await claimed(self._ports, self.terms, self.owner, tenant, run_id)
        finally:
            self._claiming.discard(run_id)

        if got is not None:
            self._work_on(*got, fresh=False)

    def _work_on(self, row: RunRow, claim: Claim, *, fresh: bool) -> None:
        ring_in = partial(self._alarms.set, row.tenant, row.id)
        driver = Driver(self._equipment, row, claim, ring_in)
        self._drivers[row.id] = driver
        if not self._open:
            driver.leave()

        self._spawn(self._work(driver, fresh=fresh), f"run {row.id}")

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, driver: Driver, *, fresh: bool) -> None:
        row = driver.row
        try:
            await driver.drive(fresh=fresh)
        except asyncio.CancelledError:
            await driver.give_back()
            raise
        except Exception:  # noqa: BLE001 - one run must not end the others
            _log.exception("alarm", alarm="run_broken", run_id=row.id)
        finally:
            del self._drivers[row.id]

        await self._look_after(driver)

    async def _look_after(self, driver: Driver) -> None:
        """What is left to do for a run that rests; then the next one in the queue."""
        row = driver.row
        if driver.wake_at is not None:
            now = stamp(self._ports.clock.now())
            seconds = max(0.0, seconds_between(now, driver.wake_at))
            if seconds < _ALARM_WITHIN_S:
                self._alarms.set(row.tenant, row.id, seconds)

        if driver.may_have_mail and self._open:
            await self._look_into_inbox(row)

        if self._rings and self.free_slot():
            tenant, run_id = next(iter(self._rings))
            del self._rings[(tenant, run_id)]
            self._spawn(self._ring_or_leave(tenant, run_id), f"ring {run_id}")

    async def _look_into_inbox(self, row: RunRow) -> None:
        """Once more after the release: who put something in saw us as the owner."""
        try:
            if await self._ports.store.runs.drain(row.tenant, row.id):
                await self.ring(row.tenant, row.id)
        except StoreUnavailable:
            self._alarms.set(row.tenant, row.id, self.terms.sweep_s)

    async def _ring_or_leave(self, tenant: str, run_id: str) -> None:
        """Ring; a store that does not answer leaves the run to the sweep."""
        try:
            await self.ring(tenant, run_id)
        except StoreUnavailable:
            self._alarms.set(tenant, run_id, self.terms.sweep_s)

    def _on_alarm(self, tenant: str, run_id: str) -> None:
        if run_id in self._drivers:
            self._drivers[run_id].ring()
        elif self._open:
            self._spawn(self._ring_or_leave(tenant, run_id), f"alarm {run_id}")

    async def _keep_claims(self) -> None:
        """Renew every claim three times in a lease, and look into the inboxes."""
        # a driver may make an error of the one cancellation: then this ends by itself
        while self._open:
            await self._ports.clock.sleep(self.terms.lease_s / 3)
            async with anyio.create_task_group() as group:
                for driver in tuple(self._drivers.values()):
                    group.start_soon(self._keep_claim, driver, name="renew")

    async def _keep_claim(self, driver: Driver) -> None:
        try:
            await driver.claim.renew()
            driver.ring(mail=True)
        except SequenceConflict:
            driver.lose()
        except TemporaryError as error:
            _log.warning("alarm", alarm="claim_not_renewed", reason=error.code)

    async def _keep_sweeping(self) -> None:
        while self._open:
            try:
                await self.sweep()
            except TemporaryError as error:
                _log.warning("alarm", alarm="sweep_failed", reason=error.code)

            await self._ports.clock.sleep(self.terms.sweep_s)
