"""Grounds of tool calls and of questions: by name, or by what a run has pinned."""

from __future__ import annotations

from typing import cast

from agents.coordinator.grounds.lookups import Lookups
from agents.coordinator.grounds.planning import Planning, python_tools_of
from agents.coordinator.grounds.starts import input_invalid
from agents.coordinator.intake import is_pinned_call
from agents.coordinator.ruling import NO_PLAN, Case, Grounds, Needs
from contracts import AskTerms, InvalidInput, JsonObject, Question, RunRow
from contracts.action_args import CallTool, RequestApproval
from contracts.definitions import ApprovalNode, ApprovalTerms, Tool
from plans import PlanNode, compile_schema


class Calls:
    """Resolves ``tool.call`` and ``approval.request``."""

    def __init__(self, lookups: Lookups, planning: Planning) -> None:
        self._lookups = lookups
        self._planning = planning

    async def call(self, case: Case) -> Grounds:
        """A tool with these arguments; a run's own tool is the one it pinned."""
        args = cast(CallTool, case.args)
        pinned = is_pinned_call(case)
        tool, digest = await self._tool(case, args.tool, pinned=pinned)
        _check_input(tool, args.input)
        node = await self._calling_node(case, tool)
        return Grounds(
            pins={f"tool:{tool.name}": digest},
            plan=_facts(tool, case.run if pinned else None, node),
            questions=_questions(node),
            needs=Needs(python_tools=python_tools_of(tool)),
            frozen_by=_frozen_by(tool, case.run),
        )

    async def request(self, case: Case) -> Grounds:
        """A question that an approval node of the proposing run asks."""
        args, run = cast(RequestApproval, case.args), case.run
        if run is None or run.id != args.run_id:
            raise InvalidInput("Only a run asks for its own approval nodes.")

        node = await self._node(run, args.node_id)
        if not isinstance(node.definition, ApprovalNode):
            raise InvalidInput(f"The node {node.id!r} asks nobody.")

        key = f"workflow:{run.workflow}"
        return Grounds(
            pins={key: run.pins[key]},
            plan={**_in_run(run), "node": node.id},
            questions=(_question(node.id, node.definition.terms),),
            frozen_by=frozenset({("workflow", run.workflow)}),
        )

    async def _tool(self, case: Case, name: str, *, pinned: bool) -> tuple[Tool, str]:
        """A tool and its digest. Raises InvalidInput ``tool_not_found``."""
        if pinned and case.run is not None:
            pins = case.run.pins
            entry = await self._lookups.pinned(case.tenant, pins, f"tool:{name}")
            return cast(Tool, entry.body), entry.digest

        head = await self._lookups.find(case.tenant, "tool", name)
        if head is None:
            raise InvalidInput(
                f"There is no tool {name!r}.",
                code="tool_not_found",
                details={"missing_tool_id": name},
            )

        return self._lookups.parsed(Tool, head.digest, head.body), head.digest

    async def _calling_node(self, case: Case, tool: Tool) -> PlanNode | None:
        """The node that calls; a run always says which. It calls its own tool."""
        if case.run is None:
            return None

        node = await self._node(case.run, cast(CallTool, case.args).node_id or "")
        allowed = _tools_of(node)
        if allowed and tool.name not in allowed:
            raise InvalidInput(
                f"The node {node.id!r} calls {', '.join(allowed)}, not {tool.name!r}.",
                code="tool_not_allowed",
            )

        return node

    async def _node(self, run: RunRow, node_id: str) -> PlanNode:
        plan = await self._planning.of_run(run)
        node = plan.nodes.get(node_id)
        if node is None:
            raise InvalidInput(
                f"The run has no node {node_id!r}.", code="graph_unknown_node"
            )

        return node


def _tools_of(node: PlanNode) -> list[str]:
    """What a node may call: its tool, or those of its stage."""
    if node.tool is not None:
        return [node.tool.name]

    within = node.prompt.tools.values() if node.prompt is not None else ()
    return sorted(one.tool.name for one in within)


def _facts(tool: Tool, run: RunRow | None, node: PlanNode | None) -> JsonObject:
    node_id = node.id if node else None
    effect = {"node": node_id, "tool": tool.name, "effect": tool.effect}
    return {
        **(_in_run(run) if run else NO_PLAN),
        "risk": tool.risk,
        "tools": [tool.name],
        "effects": [{**effect, "risk": tool.risk, "own_decision": True}],
        "node": node_id,
    }


def _in_run(run: RunRow) -> JsonObject:
    where = {"workflow": run.workflow, "version": run.workflow_version}
    return {**NO_PLAN, **where, "in_run": True}


def _questions(node: PlanNode | None) -> tuple[Question, ...]:
    """What the node itself asks before it may act: ``approval: required``."""
    terms = getattr(node and node.definition, "approval_terms", None)
    return (_question(node.id, terms),) if node is not None and terms else ()


def _question(node_id: str, terms: ApprovalTerms) -> Question:
    return Question(rule=f"node:{node_id}", terms=AskTerms(**terms.model_dump()))


def _check_input(tool: Tool, given: JsonObject) -> None:
    problems = compile_schema(tool.input_schema).problems(given)
    if problems:
        raise input_invalid(problems, "/input")


def _frozen_by(tool: Tool, run: RunRow | None) -> frozenset[tuple[str, str]]:
    of_run = {("workflow", run.workflow)} if run else set()
    return frozenset(of_run | {("tool", tool.name)})
