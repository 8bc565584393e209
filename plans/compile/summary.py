"""What a plan pins, what it risks, and what rules and approvers see of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contracts import JsonObject, Problem
from contracts.definitions import Acting, Risk, Tool, Workflow
from plans.compile.referring import uses
from plans.plan import Catalog, PlanNode, StageTool

_RISKS: tuple[Risk, ...] = ("low", "medium", "high")


def pins_of(
    own: str, digest: str, workflow: Workflow, catalog: Catalog
) -> dict[str, str]:
    """``kind:name`` → digest of the definition itself and of everything it uses."""
    used = {name: catalog[name].digest for name in uses(workflow, catalog)}
    return {own: digest, **used}


def risk_of(nodes: Iterable[PlanNode]) -> Risk:
    """The highest risk among the calls that the run's own verdict covers."""
    covered = [n.tool.risk for n in nodes if n.tool and not n.needs_own_decision]
    return max(covered, key=_RISKS.index, default="low")


def facts_of(nodes: Mapping[str, PlanNode]) -> JsonObject:
    """The plan's facts as plain JSON, nodes in the order of the plan."""
    calling = [node for node in nodes.values() if node.tool is not None]
    asking = [node for node in nodes.values() if node.prompt is not None]
    within = [(node, one.tool) for node in asking for one in _tools_within(node)]
    return {
        "risk": risk_of(nodes.values()),
        "nodes": len(nodes),
        "effects": [
            *(_effect(node) for node in calling),
            *(_effect_within(node, tool) for node, tool in within),
        ],
        "tools": sorted(
            {
                *(node.tool.name for node in calling if node.tool),
                *(tool.name for _, tool in within),
            }
        ),
        "models": [node.id for node in asking],
        "approvals": [node.id for node in nodes.values() if _asks(node)],
        "cost_estimate": {
            "calls": len(calling),
            "tokens": sum(map(_most_tokens, asking)),
            "cost": 0,
        },
    }


def warnings_of(
    workflow: Workflow, nodes: Mapping[str, PlanNode]
) -> tuple[Problem, ...]:
    """What is allowed and may not do what its author thinks."""
    placed = ((f"/nodes/{n}", nodes[o.id]) for n, o in enumerate(workflow.nodes))
    return tuple(
        Problem(pointer=pointer, code="retry_limited", message=_limited(node))
        for pointer, node in placed
        if _retries_in_vain(node)
    )


def _effect(node: PlanNode) -> JsonObject:
    tool = node.tool
    assert tool is not None
    return {
        "node": node.id,
        "tool": tool.name,
        "effect": tool.effect,
        "risk": tool.risk,
        "own_decision": node.needs_own_decision,
    }


def _effect_within(node: PlanNode, tool: Tool) -> JsonObject:
    """What a model may do: each call is judged by itself."""
    return {
        "node": node.id,
        "tool": tool.name,
        "effect": tool.effect,
        "risk": tool.risk,
        "own_decision": True,
    }


def _tools_within(node: PlanNode) -> Iterable[StageTool]:
    return node.prompt.tools.values() if node.prompt is not None else ()


def _most_tokens(node: PlanNode) -> int:
    """What a model may answer at most, all turns together."""
    if node.prompt is None:
        return 0

    stage = node.prompt.stage
    turns = stage.max_turns if stage.tools else 1
    repairs = 1 if stage.on_invalid == "repair_once" else 0
    return stage.max_output_tokens * (turns + repairs)


def _asks(node: PlanNode) -> bool:
    required = isinstance(node.definition, Acting) and node.definition.approval
    return node.type == "approval" or bool(required)


def _retries_in_vain(node: PlanNode) -> bool:
    if node.tool is None or node.tool.effect != "non_idempotent":
        return False

    said = node.definition.retry if isinstance(node.definition, Acting) else None
    return (said or node.tool.retry).max_attempts > 1


def _limited(node: PlanNode) -> str:
    tool = node.tool.name if node.tool else ""
    return f"{tool} is not idempotent: only what was provably not sent is tried again."
