"""The one door to every effect.

``RunEntry.perform`` takes an ``Approved`` and nothing else: it checks the seal and
everything sealed, uses the verdict once, and carries the action out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from contracts import (
    Approved,
    Clock,
    DecisionRecord,
    EffectRow,
    Fault,
    Outcome,
    PermanentError,
    RunRow,
    SluicegateError,
    TemporaryError,
    later,
    stamp,
)
from runs.admission import Admission
from runs.carriers import Carried, Carrier, RunStarting, Use
from runs.counters import PERFORMED, REPLAYED
from store import Store

_INDEX = "0"
_ABANDONED_S = 30.0
"""A use claimed so long ago and not finished was cut off by a crash."""


class RunEntry:
    """Performs approved decisions, each once."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        admission: Admission,
        starting: RunStarting,
        carriers: Mapping[str, Carrier],
    ) -> None:
        self._store = store
        self._admission = admission
        self._clock = clock
        self._starting = starting
        self._carriers = carriers
        self._under_way: dict[str, asyncio.Future[Outcome]] = {}
        self._log = structlog.get_logger("entry").bind()

    async def perform(self, approved: Approved) -> Outcome:
        """Carry the approved decision out, or say what came of its first use.

        Raises VerdictRefused for a verdict that is not honoured, TemporaryError if
        its first use is still under way elsewhere.
        """
        record = await self._admission.check(approved)
        under_way = self._under_way.get(approved.decision_id)
        if under_way is not None:
            return self._replayed(approved, await asyncio.shield(under_way))

        done = asyncio.get_running_loop().create_future()
        self._under_way[approved.decision_id] = done
        try:
            outcome = await self._perform(approved, record)
            done.set_result(outcome)
        except BaseException as error:
            _fail(done, error)
            raise
        finally:
            del self._under_way[approved.decision_id]

        return outcome

    async def _perform(self, approved: Approved, record: DecisionRecord) -> Outcome:
        use = Use(approved, record, _INDEX, stamp(self._clock.now()))
        if record.outcome is not None:
            return self._replayed(approved, record.outcome)

        try:
            await self._admission.standing(record)
            outcome = await self._carry(use)
        except TemporaryError:
            raise
        except SluicegateError as error:
            outcome = await self._failed(use, error)

        PERFORMED.labels(record.decision.action).inc()
        self._log.info(
            "effect.performed",
            action=record.decision.action,
            decision_id=record.id,
            correlation_id=record.correlation_id,
            state=outcome.state,
            replayed=outcome.replayed,
        )
        return outcome

    async def _carry(self, use: Use) -> Outcome:
        action = use.decision.action
        if action == "workflow.run":
            return self._of_run(use, *await self._starting.workflow(use))

        if action == "tool.call":
            return self._of_run(use, *await self._starting.tool(use))

        carrier = self._carriers.get(action)
        if carrier is None:
            raise PermanentError(
                f"{action} is not available in this release.",
                code="dependency_unavailable",
                details={"missing": [action]},
            )

        return await self._with_effect_row(use, carrier)

    def _of_run(self, use: Use, run: RunRow, created: bool) -> Outcome:
        outcome = Outcome(
            decision_id=use.decision.id, state="succeeded", result={"run_id": run.id}
        )
        return outcome if created else self._replayed(use.approved, outcome)

    async def _with_effect_row(self, use: Use, carrier: Carrier) -> Outcome:
        row, mine = await self._store.effects.consume(_claimed(use))
        if row.outcome is not None:
            return self._replayed(use.approved, row.outcome)

        if not mine and row.claimed_at > later(use.at, -_ABANDONED_S):
            raise TemporaryError("The first use is still under way.", delay=1.0)

        try:
            carried = await carrier(use)
        except TemporaryError:
            raise
        except SluicegateError as error:
            return await self._finish(use, row, _failure(use, error))

        await self._finish(use, row, _success(use, carried))
        return _shown(use, carried)

    async def _finish(self, use: Use, row: EffectRow, outcome: Outcome) -> Outcome:
        update = {
            "state": outcome.state,
            "outcome": outcome,
            "finished_at": stamp(self._clock.now()),
        }
        await self._store.effects.finish(row.model_copy(update=update))
        return outcome

    async def _failed(self, use: Use, error: SluicegateError) -> Outcome:
        outcome = _failure(use, error)
        await self._store.decisions.settle(use.tenant, use.decision.id, outcome, use.at)
        return outcome

    def _replayed(self, approved: Approved, outcome: Outcome) -> Outcome:
        REPLAYED.labels(approved.audience).inc()
        self._log.warning(
            "verdict.replayed",
            verdict_id=approved.id,
            decision_id=approved.decision_id,
        )
        return outcome.model_copy(update={"replayed": True})


def _claimed(use: Use) -> EffectRow:
    return EffectRow(
        decision_id=use.decision.id,
        index=use.index,
        tenant=use.tenant,
        verdict_id=use.approved.id,
        action=use.decision.action,
        state="claimed",
        claimed_at=use.at,
    )


def _success(use: Use, carried: Carried) -> Outcome:
    return Outcome(
        decision_id=use.decision.id, state="succeeded", result=carried.result
    )


def _shown(use: Use, carried: Carried) -> Outcome:
    result = {**carried.result, **carried.shown_once}
    return Outcome(decision_id=use.decision.id, state="succeeded", result=result)


def _failure(use: Use, error: SluicegateError) -> Outcome:
    return Outcome(decision_id=use.decision.id, state="failed", error=Fault.of(error))


def _fail(done: asyncio.Future[Outcome], error: BaseException) -> None:
    """End the wait of those who came second; nobody may be waiting."""
    if isinstance(error, Exception):
        done.set_exception(error)
        done.exception()
    else:
        done.cancel()
