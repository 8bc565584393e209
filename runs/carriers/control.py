"""Cancel, resume, retry and signal: a row in the run's inbox, and a nudge.

The row's id names the waiting point, so of many answers to one wait one wins.
"""

from __future__ import annotations

from typing import Literal

from bus import Bus
from contracts import (
    ENDED,
    Conflict,
    InboxItem,
    InvalidInput,
    JsonObject,
    NotFound,
    RunRow,
    read,
    said,
)
from contracts.action_args import CancelRun, OfRun, ResumeRun, RetryRun, SignalRun
from contracts.envelope import RunNudged
from runs.carriers.carrying import Carried, Use
from runs.carriers.starting import RunStarting
from store import Runs

Answer = Literal["resume", "retry", "start"]


class RunControl:
    """Carries ``run.cancel``, ``.resume``, ``.retry`` and ``.signal`` out."""

    def __init__(self, runs: Runs, bus: Bus, starting: RunStarting) -> None:
        self._runs = runs
        self._bus = bus
        self._starting = starting

    async def cancel(self, use: Use) -> Carried:
        """No further effect of the run. Raises Conflict if it ended or is asked."""
        args = read(CancelRun, use.decision.args)
        run = await self._open(use, args, own="cancel")
        await self._put(use, run, "cancel", "cancel", {"reason": args.reason})
        return Carried({"run_id": run.id, "status": "cancel_requested"})

    async def resume(self, use: Use) -> Carried:
        """Answer what the run waits for. Raises Conflict ``not_waiting``."""
        args = read(ResumeRun, use.decision.args)
        run = await self._open(use, args)
        point = _point(run, args.node_id)
        if point.get("kind") == "needs_attention" and args.resolution is None:
            raise _unresolved(point)

        kind: Answer = "start" if run.state.paused_reason == "not_started" else "resume"
        body = {
            "node_id": point["node"],
            "resolution": args.resolution,
            "result": args.result,
        }
        await self._put(use, run, f"answer:{point['point']}", kind, body)
        return Carried({"run_id": run.id, "status": "resumed"})

    async def retry(self, use: Use) -> Carried:
        """A new attempt in place of a paused run; a new run of an ended one."""
        args = read(RetryRun, use.decision.args)
        run = await self._get(use, args)
        if run.state.status in ENDED:
            _check_judged_as_ended(use, run)
            again = await self._starting.again(use, run, args.from_node)
            return Carried({"run_id": again.id, "retry_of": run.id})

        point = _point(run, args.from_node)
        if point.get("kind") == "needs_attention":
            raise _unresolved(point)

        body = {"node_id": point["node"]}
        await self._put(use, run, f"answer:{point['point']}", "retry", body)
        return Carried({"run_id": run.id, "status": "retried"})

    async def signal(self, use: Use) -> Carried:
        """A named event for a waiting node. Raises Conflict if the run ended."""
        args = read(SignalRun, use.decision.args)
        item_id = f"signal:{use.decision.id}"
        run = await self._open(use, args, own=item_id)
        if run.state.paused_reason == "not_started":
            raise _not_waiting("The run has not started: resume starts it.", run)

        body = {"name": args.name, "payload": args.payload}
        await self._put(use, run, item_id, "signal", body)
        return Carried({"run_id": run.id, "signal": args.name})

    async def _get(self, use: Use, args: OfRun) -> RunRow:
        run = await self._runs.get(use.tenant, args.run_id)
        if run is None:
            raise NotFound(f"There is no run {args.run_id!r}.")

        return run

    async def _open(self, use: Use, args: OfRun, *, own: str = "") -> RunRow:
        """The run, if it is open, or ended after this decision's own item was put."""
        run = await self._get(use, args)
        if run.state.status in ENDED:
            there = await self._runs.item(use.tenant, run.id, own) if own else None
            if not _is_of(use, there):
                raise _not_waiting(f"The run is {run.state.status}.", run)

        return run

    async def _put(
        self,
        use: Use,
        run: RunRow,
        item_id: str,
        kind: Literal["cancel", "resume", "retry", "start", "signal"],
        body: JsonObject,
    ) -> None:
        told = {**body, "by": use.approved.subject, "decision_id": use.decision.id}
        item = InboxItem(id=item_id, kind=kind, at=use.at, body=told)
        await self._runs.put(use.tenant, run.id, item)
        there = await self._runs.item(use.tenant, run.id, item_id)
        if not _is_of(use, there):
            raise Conflict(
                "Another answer was first.",
                code="not_waiting",
                details={"winner": _told(there)},
            )

        self._nudge(use, run)

    def _nudge(self, use: Use, run: RunRow) -> None:
        self._bus.broadcast(
            "nudge",
            lambda: said(
                RunNudged(run_id=run.id),
                by="run-entry",
                tenant=use.tenant,
                at=use.at,
                correlation_id=run.correlation_id,
            ),
        )


def _check_judged_as_ended(use: Use, run: RunRow) -> None:
    """Raise Conflict if it was approved for the paused run: that pins no plan."""
    if not use.approved.pins:
        raise _not_waiting(f"The run has ended meanwhile: {run.state.status}.", run)


def _is_of(use: Use, item: InboxItem | None) -> bool:
    """Whether this very decision laid the item there, perhaps before a crash."""
    return item is not None and item.body.get("decision_id") == use.decision.id


def _not_waiting(sentence: str, run: RunRow) -> Conflict:
    winner = {"status": run.state.status}
    return Conflict(sentence, code="not_waiting", details={"winner": winner})


def _told(winner: InboxItem | None) -> JsonObject:
    """What the one who came second may know of the first."""
    if winner is None:
        return {}

    body = winner.body
    return {
        "kind": winner.kind,
        "by": body.get("by"),
        "decision_id": body.get("decision_id"),
        "at": winner.at,
    }


def _unresolved(point: JsonObject) -> InvalidInput:
    return InvalidInput(
        f"Whether the call of {point['node']} happened is not known: resume with "
        "resolution happened or did_not_happen."
    )


def _point(run: RunRow, node_id: str | None) -> JsonObject:
    """What the run waits for, that a person may answer."""
    points = [
        point
        for point in run.state.waiting_on
        if point.get("point") is not None and node_id in (None, point.get("node"))
    ]
    if run.state.status != "paused" or not points:
        raise _not_waiting(_why_not(run, node_id), run)

    if len(points) > 1:
        nodes = ", ".join(str(point.get("node")) for point in points)
        raise InvalidInput(f"Several nodes wait: name one of {nodes}.")

    return points[0]


def _why_not(run: RunRow, node_id: str | None) -> str:
    status = run.state.status
    if status != "paused":
        return f"The run waits for no answer: it is {status}."

    if node_id is not None:
        return f"The node {node_id} waits for no answer."

    return (
        f"The run waits for no such answer: it is paused ({run.state.paused_reason})."
    )
