"""Grounds of what starts runs: a workflow, a batch of it, a retry, publishing it."""

from __future__ import annotations

from typing import cast

from agents.coordinator.grounds.lookups import Lookups
from agents.coordinator.grounds.planning import (
    PlanKind,
    Planning,
    freezes_of,
    needs_of,
    plan_facts,
)
from agents.coordinator.ruling import Case, Grounds
from contracts import InvalidInput, JsonObject, Pins, Problem, RunRow, invalid
from contracts.action_args import CreateBatch, Publish, RunWorkflow
from contracts.definitions import Head
from plans import Plan


class Starts:
    """Resolves decisions that lead to runs."""

    def __init__(self, lookups: Lookups, planning: Planning) -> None:
        self._lookups = lookups
        self._planning = planning

    async def run(self, case: Case) -> Grounds:
        """A run of a workflow, with its input checked; or of an agent flow."""
        args = cast(RunWorkflow, case.args)
        kind: PlanKind = "flow" if args.workflow is None else "workflow"
        name = args.workflow or args.flow or ""
        head = await self._lookups.head(case.tenant, kind, name, args.version)
        plan = await self._planning.of_head(head)
        _check_input(plan, args.input, "/input")
        return grounds_of(plan, head)

    async def batch(self, case: Case) -> Grounds:
        """Many runs of one workflow, with every input checked."""
        args = cast(CreateBatch, case.args)
        head = await self._lookups.head(case.tenant, "workflow", args.workflow)
        plan = await self._planning.of_head(head)
        for n, given in enumerate(args.inputs):
            _check_input(plan, given, f"/inputs/{n}")

        return grounds_of(plan, head)

    async def publish(self, case: Case) -> Grounds:
        """A version that is to serve triggers: it must compile as things are now."""
        args = cast(Publish, case.args)
        head = await self._lookups.head(
            case.tenant, "workflow", args.name, args.version
        )
        return grounds_of(await self._planning.of_head(head), head)

    async def again(self, run: RunRow) -> Grounds:
        """A run of an earlier run's pins."""
        plan = await self._planning.of_run(run)
        facts = plan_facts(plan, version=run.workflow_version, published=False)
        return Grounds(
            pins=run.pins,
            plan=facts,
            needs=needs_of(plan),
            frozen_by=freezes_of(plan),
        )


def grounds_of(plan: Plan, head: Head) -> Grounds:
    """The grounds of a plan that was compiled from a stored workflow."""
    published = head.published_version == head.version
    return Grounds(
        pins=cast(Pins, dict(plan.pins)),
        plan=plan_facts(plan, version=head.version, published=published),
        needs=needs_of(plan),
        frozen_by=freezes_of(plan),
    )


def _check_input(plan: Plan, given: JsonObject, at: str) -> None:
    """Raise InvalidInput ``input_invalid`` unless the input keeps its contract."""
    schema = plan.nodes[plan.start].input_schema
    problems = schema.problems(given) if schema is not None else []
    if problems:
        raise input_invalid(problems, at)


def input_invalid(problems: list[Problem], at: str) -> InvalidInput:
    """The error for an input that breaks its schema, with places below ``at``."""
    placed = [
        problem.model_copy(update={"pointer": at + problem.pointer.rstrip("/")})
        for problem in problems
    ]
    return invalid(placed, code="input_invalid")
