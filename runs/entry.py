"""The one door to every effect.

``RunEntry.perform`` takes an ``Approved`` and nothing else: it checks the seal and
everything sealed, uses the verdict once, and carries the action out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import structlog

from contracts import (
    Approved,
    Clock,
    DecisionRecord,
    EffectRow,
    Fault,
    JsonObject,
    Outcome,
    PermanentError,
    RunRow,
    SluicegateError,
    TemporaryError,
    new_id,
    stamp,
)
from runs.admission import INDEX, Admission
from runs.carriers import Carrier, RunStarting, Use
from runs.counters import PERFORMED, REPLAYED
from store import Store

Heard = Callable[[DecisionRecord, Outcome], Awaitable[None]]
"""Who hears of outcomes besides the one who carries the verdict here."""


async def _by_nobody(record: DecisionRecord, outcome: Outcome) -> None:
    """Nobody else hears of it."""


class _Ended(NamedTuple):
    """How a use ended: what is kept, and what only the first who hears is shown."""

    outcome: Outcome
    shown_once: JsonObject | None = None

    @property
    def shown(self) -> Outcome:
        """What whoever used it first is told."""
        if not self.shown_once:
            return self.outcome

        result = {**self.outcome.result, **self.shown_once}
        return self.outcome.model_copy(update={"result": result})


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
        self._heard: Heard = _by_nobody
        self._under_way: dict[str, asyncio.Future[Outcome]] = {}
        self._token = new_id("eff")
        self._log = structlog.get_logger("entry").bind()

    def on_outcome(self, heard: Heard) -> None:
        """Tell this what came of each decision, again for each replay."""
        self._heard = heard

    async def perform(self, approved: Approved) -> Outcome:
        """Carry the approved decision out, or say what came of its first use.

        Raises VerdictRefused for a verdict that is not honoured, TemporaryError if
        its first use is still under way elsewhere or the store does not answer.
        """
        record = await self._admission.check(approved)
        outcome = await self._perform_once(approved, record)
        await self._heard(record, outcome)
        return outcome

    async def _perform_once(
        self, approved: Approved, record: DecisionRecord
    ) -> Outcome:
        under_way = self._under_way.get(approved.decision_id)
        if under_way is not None:
            first = await asyncio.shield(under_way)
            return self._replayed(approved, first).outcome

        done = asyncio.get_running_loop().create_future()
        self._under_way[approved.decision_id] = done
        try:
            ended = await self._perform(approved, record)
            done.set_result(ended.outcome)
        except BaseException as error:
            _fail(done, error)
            raise
        finally:
            del self._under_way[approved.decision_id]

        return ended.shown

    async def _perform(self, approved: Approved, record: DecisionRecord) -> _Ended:
        if record.outcome is not None:
            return self._replayed(approved, record.outcome)

        use = Use(approved, record, INDEX, stamp(self._clock.now()))
        try:
            await self._admission.standing(record)
            ended = await self._carry(use)
        except TemporaryError:
            raise
        except SluicegateError as error:
            ended = await self._failed(use, error)

        self._say_performed(use, ended.outcome)
        return ended

    async def _carry(self, use: Use) -> _Ended:
        action = use.decision.action
        if action == "workflow.run":
            return await self._of_run(use, *await self._starting.workflow(use))

        if action == "tool.call":
            return await self._of_run(use, *await self._starting.tool(use))

        carrier = self._carriers.get(action)
        if carrier is None:
            raise PermanentError(
                f"{action} is not available in this release.",
                code="dependency_unavailable",
                details={"missing": [action]},
            )

        return await self._with_effect_row(use, carrier)

    async def _of_run(self, use: Use, run: RunRow, created: bool) -> _Ended:
        outcome = Outcome(
            decision_id=use.decision.id, state="succeeded", result={"run_id": run.id}
        )
        if run.decision_id != use.decision.id:
            stays = await self._store.decisions.settle(
                use.tenant, use.decision.id, outcome, use.at
            )
            return _Ended(stays)

        if not created:
            return self._replayed(use.approved, outcome)

        return _Ended(outcome)

    async def _with_effect_row(self, use: Use, carrier: Carrier) -> _Ended:
        row, mine = await self._store.effects.consume(self._claim(use))
        if row.outcome is not None:
            await self._store.effects.finish(row)  # its decision may not know yet
            return self._replayed(use.approved, row.outcome)

        if not mine:
            self._admission.refuse_under_way(row)

        try:
            carried = await carrier(use)
        except TemporaryError:
            raise
        except SluicegateError as error:
            return _Ended(await self._finish(row, _failure(use, error)))

        outcome = await self._finish(row, _succeeded(use, carried.result))
        return _Ended(outcome, carried.shown_once)

    async def _finish(self, row: EffectRow, outcome: Outcome) -> Outcome:
        ended = {
            "state": outcome.state,
            "outcome": outcome,
            "finished_at": stamp(self._clock.now()),
        }
        await self._store.effects.finish(row.model_copy(update=ended))
        return outcome

    async def _failed(self, use: Use, error: SluicegateError) -> _Ended:
        stays = await self._store.decisions.settle(
            use.tenant, use.decision.id, _failure(use, error), use.at
        )
        return _Ended(stays)

    def _claim(self, use: Use) -> EffectRow:
        return EffectRow(
            decision_id=use.decision.id,
            index=use.index,
            tenant=use.tenant,
            verdict_id=use.approved.id,
            action=use.decision.action,
            state="claimed",
            claimed_at=use.at,
            token=self._token,
        )

    def _replayed(self, approved: Approved, outcome: Outcome) -> _Ended:
        REPLAYED.labels(approved.audience).inc()
        self._log.warning(
            "verdict.replayed",
            verdict_id=approved.id,
            decision_id=approved.decision_id,
        )
        return _Ended(outcome.model_copy(update={"replayed": True}))

    def _say_performed(self, use: Use, outcome: Outcome) -> None:
        if outcome.replayed:
            return

        PERFORMED.labels(use.decision.action).inc()
        self._log.info(
            "effect.performed",
            action=use.decision.action,
            decision_id=use.decision.id,
            correlation_id=use.record.correlation_id,
            state=outcome.state,
        )


def _succeeded(use: Use, result: JsonObject) -> Outcome:
    return Outcome(decision_id=use.decision.id, state="succeeded", result=result)


def _failure(use: Use, error: SluicegateError) -> Outcome:
    return Outcome(decision_id=use.decision.id, state="failed", error=Fault.of(error))


def _fail(done: asyncio.Future[Outcome], error: BaseException) -> None:
    """End the wait of those who came second; nobody may be waiting."""
    cut_off = TemporaryError("The first use of this verdict was cut off.")
    done.set_exception(error if isinstance(error, Exception) else cut_off)
    done.exception()
