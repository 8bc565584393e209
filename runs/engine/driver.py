"""The life of one claimed run: take it up, go on in rounds, rest, let go.

A round takes in what happened, says what follows, stores it in one append, and only
then acts: no append, no call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import anyio
import structlog

from contracts import (
    ENDED,
    BusUnavailable,
    Decision,
    PermanentError,
    RunRow,
    SequenceConflict,
    StoreUnavailable,
    TemporaryError,
    Timestamp,
    later,
    seconds_between,
)
from contracts.failpoints import reach
from plans.fold import Progress
from plans.plan import Plan, PlanNode
from runs.engine.calls import CallsUnderWay
from runs.engine.claim import Claim
from runs.engine.ending import follower, say_rest
from runs.engine.hearing import hear_end, used_by
from runs.engine.inbox import take
from runs.engine.intents import Intents, intend
from runs.engine.log import RunLog
from runs.engine.opening import Items, progress_of, say_broken, say_taken, take_up
from runs.engine.ports import Equipment
from runs.engine.proposals import own_decision, propose
from runs.engine.resting import Paused, Rest, rest_of
from runs.engine.stepping import advance
from runs.engine.waking import wake
from runs.engine.walk import Walk

_log = structlog.get_logger()

_ASK_AGAIN_S = 5.0
"""How long the gate may be silent on a proposal before it is proposed again."""

_TRY_AGAIN_S = 1.0
_RELEASE_S = 2.0


class Driver:
    """Drives one run from its claim to its rest.

    Guarantees: whatever ends it, what was not stored was not done, and what was
    stored is found by the next owner.
    """

    def __init__(
        self,
        equipment: Equipment,
        row: RunRow,
        claim: Claim,
        ring_in: Callable[[float], None],
    ) -> None:
        """``ring_in`` asks for ``ring`` to be called after so many seconds."""
        self.row = row
        self.claim = claim
        self.wake_at: Timestamp | None = None
        """When a run that was let rest wants to be looked at."""

        self.may_have_mail = False
        """Whether the inbox of a run that was let rest is to be looked at once more."""

        self._ports = ports = equipment.ports
        self._terms = terms = equipment.terms
        self._plans = equipment.plans
        self._ring_in = ring_in
        self._bell = asyncio.Event()
        self._calls = CallsUnderWay(ports, self._bell.set)
        self._intents = Intents(ports, terms, partial(ring_in, _TRY_AGAIN_S))
        self._mail = False
        self._seen: set[str] = set()
        self._leaving = False
        self._lost = False
        self._asked_at = 0.0

    def ring(self, *, mail: bool = False) -> None:
        """Look at the run again; with ``mail`` also into its inbox."""
        self._mail = self._mail or mail
        self._bell.set()

    def leave(self) -> None:
        """Make no further call; record those under way and give the run back."""
        self._leaving = True
        self._bell.set()

    def lose(self) -> None:
        """Somebody else has the run now: stop, and touch nothing."""
        self._lost = True
        self._bell.set()

    async def drive(self, *, fresh: bool) -> None:
        """Drive the run until it rests, is lost, or ``leave`` was asked.

        ``fresh``: this process made the run a moment ago, nothing is to be read.
        """
        try:
            await self._drive(fresh=fresh)
        except SequenceConflict:
            self._tell("run.lease_lost", reason="taken_over")
        except TemporaryError as error:
            self._tell("run.lease_lost", reason=error.code)
            await self.give_back()
        finally:
            await self._calls.close()

    async def give_back(self) -> None:
        """Release the claim; if that fails it ends by itself."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(_RELEASE_S):
            try:
                await self.claim.release()
            except StoreUnavailable:
                self._tell("run.lease_lost", reason="not_released")

    async def _drive(self, *, fresh: bool) -> None:
        reach("B9")
        runs = self._ports.store.runs
        progress = Progress() if fresh else await progress_of(runs, self.row)
        log = RunLog(self._ports, self.row, progress, self.claim)
        plan = None if progress.status in ENDED else await self._plan(log)
        if plan is None:
            return await self.give_back()

        walk = Walk(plan, log, self._terms.node_parallel)
        items: Items | None = ()
        if fresh:
            say_taken(log)
        else:
            items = await take_up(walk, runs)

        if items is None:
            self.wake_at = min(walk.timers.values(), default=None)
            return await self.give_back()

        self._take(walk, items)
        return await self._go_on(walk)

    async def _plan(self, log: RunLog) -> Plan | None:
        """The run's plan; a run whose plan is gone has ended when this returns."""
        try:
            return await self._plans.of_run(self.row)
        except PermanentError as error:
            say_broken(log, error)
            await log.keep(release=True)
            return None

    async def _go_on(self, walk: Walk) -> None:
        """Rounds, until the run rests or is left."""
        while True:
            self._bell.clear()
            walk.log.begin_round()
            await self._collect(walk)
            wake(walk)
            advance(walk)
            permitted = await self._permitted(walk)
            rest = rest_of(walk)
            if rest is not None:
                return await self._rest(walk, rest)

            await self._store_and_act(walk, permitted)
            if self._leaving and not walk.in_flight:
                return await self.give_back()

            self._set_alarm(walk)
            await self._bell.wait()

    async def _permitted(self, walk: Walk) -> list[PlanNode]:
        """The calls that may be made; none once the run may be somebody else's.

        What was answered is stored all the same; an intent would only be asked about.
        """
        if walk.calls and not self._leaving:
            try:
                await self._assure()
            except SequenceConflict:
                self.lose()

        if self._leaving or self._lost:
            return []

        return await self._intents.permit(walk)

    async def _collect(self, walk: Walk) -> None:
        """Take in the calls that ended and what lies in the inbox."""
        if self._lost:
            raise SequenceConflict("The claim of the run was lost.")

        for node_id, result in self._calls.ended():
            walk.in_flight.discard(node_id)
            hear_end(walk, walk.plan.nodes[node_id], result)
            await self._intents.settle(node_id, used_by(result))
            reach("B12")

        if self._mail:
            self._take(walk, await self._items())

        if walk.progress.cancel is not None:
            self._calls.cancel_harmless()

    async def _items(self) -> Items:
        try:
            self._mail = False
            return await self._ports.store.runs.drain(self.row.tenant, self.row.id)
        except StoreUnavailable:
            self._mail = True
            self._ring_in(_TRY_AGAIN_S)
            return ()

    def _take(self, walk: Walk, items: Items) -> None:
        for item in items:
            if item.id not in self._seen:
                self._seen.add(item.id)
                take(walk, item)
                reach("B19")

    async def _store_and_act(self, walk: Walk, permitted: list[PlanNode]) -> None:
        timeout_s = self._terms.model_timeout_s
        calls = [intend(walk, node, timeout_s) for node in permitted]
        if not walk.log.empty:
            await walk.log.keep()
            reach("B13")

        if calls:
            reach("B10")
            await self._assure()

        for call in calls:
            self._calls.make(call)

        await self._propose(walk)

    async def _assure(self) -> None:
        """Return when enough of the claim is left. Raises SequenceConflict."""
        while True:
            try:
                return await self.claim.assure()
            except StoreUnavailable:
                await self._ports.clock.sleep(_TRY_AGAIN_S)

    async def _propose(self, walk: Walk) -> None:
        """Propose what was logged, and again what the gate did not answer in time."""
        now = self._ports.clock.monotonic()
        asks, walk.asks = walk.asks, []
        if asks:
            self._bell.set()
        elif now - self._asked_at >= _ASK_AGAIN_S:
            asks = walk.unanswered()

        not_after = later(walk.log.at, self._terms.verdict_ttl_s)
        for name in asks:
            node, known = walk.node(name)
            self._asked_at = now
            if name in walk.active and known.decision_id is not None:
                await self._send(
                    own_decision(walk.row, node, known, not_after=not_after)
                )

    async def _send(self, decision: Decision) -> None:
        try:
            await propose(self._ports.bus, self.row, decision, by=self.claim.owner)
        except BusUnavailable as error:
            self._tell("message.retried", decision_id=decision.id, reason=error.code)

    async def _rest(self, walk: Walk, rest: Rest) -> None:
        """Store how the run rests, which ends the claim; then tell who follows."""
        say_rest(walk, rest)
        follows = follower(walk, rest, self._terms.verdict_ttl_s)
        wake_at = rest.wake_at if isinstance(rest, Paused) else None
        await walk.log.keep(release=True, wake_at=wake_at)
        reach("B14")
        self.wake_at = wake_at
        self.may_have_mail = isinstance(rest, Paused)
        if follows is not None:
            await self._send(follows)

    def _set_alarm(self, walk: Walk) -> None:
        """Have the bell rung for the first timer and for a silent gate."""
        waits = [seconds_between(walk.log.at, when) for when in walk.timers.values()]
        if walk.unanswered():
            waits.append(_ASK_AGAIN_S)

        if waits:
            self._ring_in(max(0.0, min(waits)))

    def _tell(self, event: str, **more: str) -> None:
        _log.warning(event, run_id=self.row.id, tenant=self.row.tenant, **more)
