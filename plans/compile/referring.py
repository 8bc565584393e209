"""References: what a workflow names that is defined elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from contracts import nearest
from contracts.definitions import (
    CallWorkflow,
    Classify,
    ModelNode,
    Retrieve,
    ToolNode,
    Use,
    Workflow,
    WorkflowNode,
)
from plans.compile.scope import Problems
from plans.plan import Catalog


def references(workflow: Workflow) -> frozenset[str]:
    """``kind:name`` of every definition the workflow names."""
    return frozenset(name for name, _ in _places(workflow))


def uses(workflow: Workflow) -> list[str]:
    """``kind:name`` of every definition its nodes use, sorted."""
    return sorted({name for name, _ in _node_places(workflow)})


def check_references(
    workflow: Workflow, catalog: Catalog, known: Collection[str], problems: Problems
) -> list[str]:
    """Note every name nothing is defined under; the missing, each once, in order.

    ``known`` holds more names of this kind, for near matches.
    """
    missing: dict[str, None] = {}
    for name, pointer in _places(workflow):
        if name not in catalog:
            missing[name] = None
            problems.tell(pointer, *_told(name, {*catalog, *known}))

    return list(missing)


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
