"""References: what a workflow names that is defined elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from contracts import nearest
from contracts.definitions import (
    AgentFlow,
    CallWorkflow,
    Classify,
    Described,
    ModelNode,
    Retrieve,
    Stage,
    ToolNode,
    Use,
    Workflow,
    WorkflowNode,
)
from plans.compile.scope import Problems
from plans.plan import Catalog


def references(definition: Described) -> frozenset[str]:
    """``kind:name`` of every definition that a definition names itself."""
    match definition:
        case Workflow():
            return frozenset(name for name, _ in _places(definition))
        case Stage():
            return frozenset(_of_stage(definition))
        case AgentFlow():
            stages = (node for node in definition.nodes if node.type == "stage")
            return frozenset(f"stage:{node.stage}" for node in stages)
        case _:
            return frozenset()


def uses(workflow: Workflow, catalog: Catalog) -> list[str]:
    """``kind:name`` of all its nodes use, and of what their stages use, sorted."""
    named = {name for name, _ in _node_places(workflow)}
    stages = [catalog[name].body for name in named if name.startswith("stage:")]
    return sorted(named.union(*map(references, stages)))


def check_references(
    workflow: Workflow, catalog: Catalog, known: Collection[str], problems: Problems
) -> list[str]:
    """Note every name nothing is defined under; the missing, each once, in order.

    ``known`` holds more names of this kind, for near matches.
    """
    missing: dict[str, None] = {}
    for name, pointer in _places(workflow):
        for used in (name, *_used_by(name, catalog)):
            if used not in catalog:
                missing[used] = None
                problems.tell(pointer, *_told(used, {*catalog, *known}))

    return list(missing)


def _used_by(name: str, catalog: Catalog) -> list[str]:
    """What a stage needs besides itself."""
    entry = catalog.get(name) if name.startswith("stage:") else None
    return sorted(references(entry.body)) if entry is not None else []


def _of_stage(stage: Stage) -> Iterator[str]:
    yield from (f"knowledge:{name}" for name in stage.knowledge)
    yield from (f"tool:{name}" for name in stage.tools)


def _told(reference: str, known: set[str]) -> tuple[str, str]:
    kind, _, name = reference.partition(":")
    names = [other.partition(":")[2] for other in known if other.startswith(f"{kind}:")]
    code = "unknown_tool" if kind == "tool" else "missing_references"
    return code, f"There is no {kind} {name!r}.{nearest(name, names)}"


def _places(workflow: Workflow) -> Iterator[tuple[str, str]]:
    """Every reference and the pointer of where it stands."""
    yield from _node_places(workflow)
    after = workflow.on_failure
    if after is not None and after.workflow is not None:
        yield f"workflow:{after.workflow}", "/on_failure/workflow"


def _node_places(workflow: Workflow) -> Iterator[tuple[str, str]]:
    for n, node in enumerate(workflow.nodes):
        kind, field = _NAMING.get(type(node), ("", ""))
        name = getattr(node, field, None)
        if name is not None:
            yield f"{kind}:{name}", f"/nodes/{n}/{field}"


_NAMING: dict[type[WorkflowNode], tuple[str, str]] = {
    ToolNode: ("tool", "tool"),
    ModelNode: ("stage", "stage"),
    Classify: ("stage", "stage"),
    Retrieve: ("knowledge", "knowledge"),
    CallWorkflow: ("workflow", "workflow"),
    Use: ("node", "use"),
}
"""The nodes that name a definition: its kind, and the field that names it."""
