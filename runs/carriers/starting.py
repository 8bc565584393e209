"""Starting a run: one durable row, whose id follows from the decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from bus import Bus
from contracts import (
    Budget,
    Conflict,
    Envelope,
    JsonObject,
    Lease,
    NotFound,
    Origin,
    Pins,
    Reservation,
    RunRow,
    RunState,
    TemporaryError,
    derived_id,
    digest,
    later,
    read,
    said,
)
from contracts.action_args import CallTool, RunWorkflow
from contracts.envelope import RunReady
from contracts.reserving import Spender, Wanted, reservations
from runs.carriers.carrying import Use
from store import Definitions, Runs


class Worker(Protocol):
    """The part of an engine that takes new runs.

    Guarantees: a started run is driven to its end or left to the sweep.
    """

    owner: str
    lease_s: float

    def free_slot(self) -> bool:
        """Whether a run started now would begin at once."""

    def start(self, row: RunRow) -> None:
        """Drive a run whose lease is already ours; returns at once."""


class RunStarting:
    """Inserts runs and hands them to a worker."""

    def __init__(
        self,
        *,
        runs: Runs,
        definitions: Definitions,
        bus: Bus,
        worker: Worker,
        budgets: Callable[[], tuple[Budget, ...]],
    ) -> None:
        self._runs = runs
        self._definitions = definitions
        self._bus = bus
        self._worker = worker
        self._budgets = budgets

    async def workflow(self, use: Use) -> tuple[RunRow, bool]:
        """The run of a ``workflow.run`` decision, and whether it is new.

        Raises Conflict ``run_exists``, PermanentError ``budget_exceeded``.
        """
        args = read(RunWorkflow, use.decision.args)
        name = str(use.record.plan.get("workflow", args.workflow or args.flow))
        row = self._row(use, name, args.input).model_copy(
            update={
                "key": args.key,
                "tags": args.tags,
                "state": RunState() if args.start else _not_started(use),
            }
        )
        try:
            return await self._insert(use, row, started=args.start)
        except Conflict as error:
            if error.code != "run_exists" or args.on_conflict == "reject":
                raise

            return await self._there(use, str(error.details["run_id"])), False

    async def _there(self, use: Use, run_id: str) -> RunRow:
        """The open run that has the key already."""
        run = await self._runs.get(use.tenant, run_id)
        if run is None:
            raise TemporaryError("The run with this key has just gone.")

        return run

    async def tool(self, use: Use) -> tuple[RunRow, bool]:
        """The one-node run of a ``tool.call`` outside a run, and whether it is new."""
        args = read(CallTool, use.decision.args)
        (tool,) = use.record.plan.get("tools") or (args.tool,)
        body = _one_node(str(tool), args.input)
        name = str(body["name"])
        await self._definitions.keep(use.tenant, digest(body), body)
        pins = {**use.approved.pins, f"workflow:{name}": digest(body)}
        row = self._row(use, name, args.input, pins)
        return await self._insert(use, row.model_copy(update={"call_was_judged": True}))

    async def again(self, use: Use, run: RunRow, from_node: str | None) -> RunRow:
        """A new run of an ended one: same pins and input, carried results."""
        row = run.model_copy(
            update={
                "id": derived_id("run", use.decision.id, use.index),
                "decision_id": use.decision.id,
                "index": use.index,
                "correlation_id": use.record.correlation_id,
                "principal": use.decision.principal,
                "retry_of": run.id,
                "carried": await self._carried(run, from_node),
                "call_was_judged": False,  # what was approved was one call, made once
                "created_at": use.at,
                "state": RunState(),
                "lease": None,
                "wake_at": None,
                "key": None,
            }
        )
        stored, _ = await self._insert(use, row)
        return stored

    async def _carried(self, run: RunRow, from_node: str | None) -> JsonObject:
        """Results the new run keeps; of people's answers none, they are asked anew."""
        carried = _carried(run, from_node)
        body = await self._definitions.archived(run.tenant, run.workflow_digest)
        nodes = body["nodes"] if body is not None else []
        asking = {node["id"] for node in nodes if node["type"] == "approval"}
        return {node: out for node, out in carried.items() if node not in asking}

    def _row(
        self, use: Use, name: str, given: JsonObject, pins: Pins | None = None
    ) -> RunRow:
        pins = pins or use.approved.pins
        return RunRow(
            id=derived_id("run", use.decision.id, use.index),
            tenant=use.tenant,
            workflow=name,
            workflow_version=int(use.record.plan.get("version", 1)),
            workflow_digest=pins.get(f"flow:{name}") or pins[f"workflow:{name}"],
            decision_id=use.decision.id,
            index=use.index,
            correlation_id=use.record.correlation_id,
            input=given,
            pins=pins,
            principal=use.decision.principal,
            origin=_origin(use),
            created_at=use.at,
        )

    async def _insert(
        self, use: Use, row: RunRow, *, started: bool = True
    ) -> tuple[RunRow, bool]:
        mine = started and self._worker.free_slot()
        if mine:
            until = later(use.at, self._worker.lease_s)
            row = row.model_copy(
                update={"lease": Lease(owner=self._worker.owner, until=until)}
            )

        stored, created = await self._runs.create(row, self._set_aside(use))
        if created and mine:
            self._worker.start(stored)
        elif created and started:
            await self._bus.publish(_ready(use, stored))

        return stored, created

    def _set_aside(self, use: Use) -> tuple[Reservation, ...]:
        decision = use.decision
        spender = Spender(use.tenant, use.approved.subject, decision.conversation_id)
        wanted = Wanted("runs", 1, decision.id, use.at)
        return reservations(self._budgets(), wanted, spender)


def _not_started(use: Use) -> RunState:
    return RunState(
        status="paused",
        paused_reason="not_started",
        waiting_on=({"node": None, "kind": "not_started", "point": "0"},),
        last_activity_at=use.at,
    )


def _origin(use: Use) -> Origin:
    decision = use.decision
    attended = decision.proposer.kind in ("user", "agent")
    if decision.conversation_id is not None:
        return Origin(
            kind="conversation", id=decision.conversation_id, attended=attended
        )

    kinds = {"schedule": "schedule", "run": "run"}
    kind = kinds.get(decision.proposer.kind, "api")
    return Origin.model_validate(
        {"kind": kind, "id": decision.proposer.id, "attended": attended}
    )


def _ready(use: Use, row: RunRow) -> Envelope:
    return said(
        RunReady(run_id=row.id),
        by="run-entry",
        tenant=row.tenant,
        at=use.at,
        correlation_id=row.correlation_id,
    )


def _carried(run: RunRow, from_node: str | None) -> JsonObject:
    """Outputs of the completed nodes that the new run does not repeat."""
    steps = run.state.steps_state
    if from_node is None:
        return {}

    if from_node not in steps:
        raise NotFound(f"The run has not come to a node {from_node!r}.")

    began = steps[from_node].started_at
    return {
        node: state.output
        for node, state in steps.items()
        if node != from_node
        and state.status == "completed"
        and (began is None or (state.finished_at or "") <= began)
    }


def _one_node(tool: str, given: JsonObject) -> JsonObject:
    return {
        "name": f"tool:{tool}",
        "kind": "workflow",
        "nodes": [
            {"id": "start", "type": "workflow_start"},
            {
                "id": "call",
                "type": "tool",
                "tool": tool,
                "input": {key: "${start[" + json.dumps(key) + "]}" for key in given},
            },
            {"id": "end", "type": "workflow_end", "output": {"result": "${call}"}},
        ],
        "edges": [{"from": "start", "to": "call"}, {"from": "call", "to": "end"}],
    }
