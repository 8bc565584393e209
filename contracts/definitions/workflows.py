"""Workflows: nodes and the edges between them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from contracts.definitions.names import CelText, DefinitionName, Described, NodeId
from contracts.definitions.nodes import WorkflowNode
from contracts.message import JsonObject, Message


class Edge(Message):
    """A way from one node to another, perhaps on a condition."""

    from_: NodeId = Field(alias="from")
    to: NodeId
    when: CelText | None = None
    otherwise: bool = False
    """Taken if no ``when`` of the same node holds."""

    on: Literal["done", "error", "refused"] = "done"
    """Which end of the node leads here."""

    @model_validator(mode="after")
    def _otherwise_has_no_condition(self) -> Edge:
        if self.otherwise and self.when is not None:
            raise ValueError("an otherwise edge has no condition")

        return self


class OnFailure(Message):
    """What follows a run that failed, is stuck or needs attention."""

    workflow: DefinitionName | None = None
    notify: str | None = None


class Workflow(Described):
    """A graph of nodes with one start; what it returns is its end's output."""

    kind: Literal["workflow"] = "workflow"
    serial: bool = False
    on_failure: OnFailure | None = None
    nodes: tuple[WorkflowNode, ...]
    edges: tuple[Edge, ...] = ()
    metadata: JsonObject = Field(default_factory=dict)
