"""Plans as the gate sees them: compiled once for one set of digests."""

from __future__ import annotations

from typing import Literal

from agents.coordinator.grounds.keeping import Kept
from agents.coordinator.grounds.lookups import Lookups
from agents.coordinator.ruling import NO_PLAN, Needs
from contracts import JsonObject, Pins, RunRow, digest
from contracts.definitions import AgentFlow, Head, Tool, Workflow
from plans import CatalogEntry, Plan, compile_workflow, references, workflow_of

_PLANS_KEPT = 1_024

PlanKind = Literal["workflow", "flow"]

_Digests = tuple[tuple[str, str], ...]


class Planning:
    """Compiles what decisions are about, with every problem named at once."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._plans: Kept[_Digests, Plan] = Kept(_PLANS_KEPT)
        self._named: Kept[str, frozenset[str]] = Kept(_PLANS_KEPT)

    async def of_head(self, head: Head) -> Plan:
        """The plan of a stored workflow with the heads it uses now.

        Raises InvalidInput with every problem.
        """
        kind = _kind_of(head)
        workflow = self._workflow(kind, head.digest, head.body)
        named = self._named.made(head.digest, lambda: references(workflow))
        catalog = await self._lookups.all_named(head.tenant, named)
        pins = {key: used.digest for key, used in catalog.items()}
        key = _key({**pins, f"{kind}:{head.name}": head.digest})
        return self._plans.made(
            key, lambda: compile_workflow(workflow, head.digest, catalog, kind=kind)
        )

    async def of_draft(self, tenant: str, draft: Workflow | AgentFlow) -> Plan:
        """The plan of what is not stored yet. Raises as ``of_head``."""
        workflow = workflow_of(draft) if isinstance(draft, AgentFlow) else draft
        catalog = await self._lookups.all_named(tenant, references(workflow))
        known = await self._lookups.known_tools(tenant)
        body = draft.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return compile_workflow(workflow, digest(body), catalog, known=known)

    async def of_run(self, run: RunRow) -> Plan:
        """The plan of a run, of exactly what it pinned.

        Raises PermanentError ``expired`` if something of it has aged out.
        """
        key = _key(run.pins)
        plan = self._plans.get(key)
        if plan is not None:
            return plan

        kind: PlanKind = "flow" if f"flow:{run.workflow}" in run.pins else "workflow"
        body = await self._lookups.archived(run.tenant, run.workflow_digest)
        workflow = self._workflow(kind, run.workflow_digest, body)
        catalog = await self._lookups.pinned_catalog(run.tenant, run.pins)
        after = workflow.on_failure
        if after is not None and after.workflow is not None:  # never pinned
            entry = CatalogEntry(run.workflow_digest, workflow)
            catalog = {f"workflow:{after.workflow}": entry, **catalog}

        return self._plans.made(
            key,
            lambda: compile_workflow(workflow, run.workflow_digest, catalog, kind=kind),
        )

    def _workflow(self, kind: PlanKind, digest_: str, body: JsonObject) -> Workflow:
        if kind == "workflow":
            return self._lookups.parsed(Workflow, digest_, body)

        return workflow_of(self._lookups.parsed(AgentFlow, digest_, body))


def _kind_of(head: Head) -> PlanKind:
    return "flow" if head.kind == "flow" else "workflow"


def _key(pins: Pins) -> _Digests:
    return tuple(sorted(pins.items()))


def plan_facts(plan: Plan, *, version: int | None, published: bool) -> JsonObject:
    """What rules and approvers see of a plan."""
    return {
        **NO_PLAN,
        **plan.facts,
        "workflow": plan.workflow.name,
        "version": version,
        "published": published,
    }


def needs_of(plan: Plan) -> Needs:
    """What live workers must be able to do for a plan to succeed."""
    functions = [one for tool in tools_of(plan) for one in python_tools_of(tool)]
    asks = any(node.prompt is not None for node in plan.nodes.values())
    return Needs(python_tools=frozenset(functions), model=asks)


def tools_of(plan: Plan) -> list[Tool]:
    """Every tool that a plan may call, by itself or for a model."""
    prompts = [one.prompt for one in plan.nodes.values() if one.prompt is not None]
    within = [one.tool for prompt in prompts for one in prompt.tools.values()]
    return [*(one.tool for one in plan.nodes.values() if one.tool), *within]


def python_tools_of(tool: Tool) -> frozenset[str]:
    """The registered function a tool calls, if it is one of python."""
    name = tool.function or tool.name
    return frozenset({name}) if tool.kind == "python" else frozenset()


def freezes_of(plan: Plan) -> frozenset[tuple[str, str]]:
    """Every freeze that stops a plan: its workflow's and its tools'."""
    tools = {("tool", tool.name) for tool in tools_of(plan)}
    return frozenset(tools | {("workflow", plan.workflow.name)})
