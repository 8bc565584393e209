"""Settling decisions of runs that ended before they could tell what came of them."""

from __future__ import annotations

from contracts import ENDED, DecisionRecord, Fault, Outcome, RunRow, Timestamp, later
from store import Store

_AFTER_S = 30.0
_MOST = 100


async def settle_ended(store: Store, now: Timestamp) -> None:
    """Give approved decisions of ended runs their outcome. Raises StoreUnavailable."""
    before = later(now, -_AFTER_S)
    for record in await store.decisions.unperformed(
        recorded_before=before, limit=_MOST
    ):
        run_id = record.decision.run_id
        if record.decision.proposer.kind == "run" and run_id is not None:
            run = await store.runs.get(record.tenant, run_id)
            if run is not None and run.state.status in ENDED:
                outcome = _outcome(record, run)
                await store.decisions.settle(record.tenant, record.id, outcome, now)


def _outcome(record: DecisionRecord, run: RunRow) -> Outcome:
    """What the projection says of the node that proposed it."""
    node = str(record.decision.args.get("node_id"))
    state = run.state.steps_state.get(node)
    result = {"run_id": run.id, "node_id": node}
    if state is not None and state.status == "completed":
        return Outcome(decision_id=record.id, state="succeeded", result=result)

    if state is not None and state.status == "unknown":
        return Outcome(decision_id=record.id, state="unknown", result=result)

    error = Fault(code="canceled", message="The run ended first.")
    told = state.error if state is not None and state.error is not None else error
    return Outcome(decision_id=record.id, state="failed", result=result, error=told)
