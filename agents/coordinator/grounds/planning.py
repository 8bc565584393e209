"""Plans as the gate sees them: compiled once for one set of digests."""

from __future__ import annotations

from agents.coordinator.grounds.keeping import Kept
from agents.coordinator.grounds.lookups import Lookups
from agents.coordinator.ruling import NO_PLAN, Needs
from contracts import JsonObject, Pins, RunRow, digest
from contracts.definitions import Head, Tool, Workflow
from plans import CatalogEntry, Plan, compile_workflow, references

_PLANS_KEPT = 1_024

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
        workflow = self._lookups.parsed(Workflow, head.digest, head.body)
        named = self._named.made(head.digest, lambda: references(workflow))
        catalog = await self._lookups.catalog(head.tenant, named)
        pins = {key: used.digest for key, used in catalog.items()}
        key = _key({**pins, f"workflow:{head.name}": head.digest})
        return self._plans.made(
            key, lambda: compile_workflow(workflow, head.digest, catalog)
        )

    async def of_draft(self, tenant: str, draft: Workflow) -> Plan:
        """The plan of a workflow that is not stored yet. Raises as ``of_head``."""
        catalog = await self._lookups.catalog(tenant, references(draft))
        known = await self._lookups.known_tools(tenant)
        body = draft.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return compile_workflow(draft, digest(body), catalog, known=known)

    async def of_run(self, run: RunRow) -> Plan:
        """The plan of a run, of exactly what it pinned.

        Raises PermanentError ``expired`` if something of it has aged out.
        """
        key = _key(run.pins)
        plan = self._plans.get(key)
        if plan is not None:
            return plan

        body = await self._lookups.archived(run.tenant, run.workflow_digest)
        workflow = self._lookups.parsed(Workflow, run.workflow_digest, body)
        catalog = await self._lookups.pinned_catalog(run.tenant, run.pins)
        after = workflow.on_failure
        if after is not None and after.workflow is not None:  # never pinned
            entry = CatalogEntry(run.workflow_digest, workflow)
            catalog = {f"workflow:{after.workflow}": entry, **catalog}

        return self._plans.made(
            key, lambda: compile_workflow(workflow, run.workflow_digest, catalog)
        )


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
    types = {node.type for node in plan.nodes.values()}
    tools = [node.tool for node in plan.nodes.values() if node.tool is not None]
    functions = [function for tool in tools for function in python_tools_of(tool)]
    return Needs(
        python_tools=frozenset(functions), model=bool(types & {"model", "classify"})
    )


def python_tools_of(tool: Tool) -> frozenset[str]:
    """The registered function a tool calls, if it is one of python."""
    name = tool.function or tool.name
    return frozenset({name}) if tool.kind == "python" else frozenset()


def freezes_of(plan: Plan) -> frozenset[tuple[str, str]]:
    """Every freeze that stops a plan: its workflow's and its tools'."""
    tools = {("tool", n.tool.name) for n in plan.nodes.values() if n.tool is not None}
    return frozenset(tools | {("workflow", plan.workflow.name)})
