"""Agent flows: conversations with a script, as the workflows that they amount to.

``start stage route answer`` are ``workflow_start model branch workflow_end``: a flow is
judged, pinned and run like everything else.
"""

from __future__ import annotations

from typing import Any

from contracts import Problem, invalid, read
from contracts.definitions import AgentFlow, Workflow

_REPLY = "assistantReply"
_TYPES = {
    "start": "workflow_start",
    "stage": "model",
    "route": "branch",
    "answer": "workflow_end",
}


def workflow_of(flow: AgentFlow, *, at: str = "") -> Workflow:
    """The workflow that a flow amounts to; its nodes keep their places.

    Raises InvalidInput naming each answer that says nothing to the person.
    """
    silent = [
        Problem(
            pointer=f"{at}/nodes/{n}/output",
            code="invalid",
            message=f"An answer holds {_REPLY}: what the person reads.",
        )
        for n, node in enumerate(flow.nodes)
        if node.type == "answer" and _REPLY not in node.output
    ]
    if silent:
        raise invalid(silent)

    return read(
        Workflow,
        {
            "name": flow.name,
            "description": flow.description,
            "kind": "workflow",
            "nodes": [_node(node.plain()) for node in flow.nodes],
            "edges": [edge.model_dump(by_alias=True) for edge in flow.edges],
        },
        at=at,
    )


def _node(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "type": _TYPES[plain["type"]]}
