"""A plan: a compiled workflow, immutable, that everybody reads the same way.

The save validator, the gate, simulate and the engine all use this one form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contracts import JsonObject, Problem
from contracts.definitions import (
    Described,
    Risk,
    Stage,
    Tool,
    Workflow,
    WorkflowNode,
)
from plans.expressions import Expression, Template
from plans.schemas import Schema

EdgeEnd = Literal["done", "error", "refused"]
"""Which end of a node an edge leaves."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A definition as the catalog holds it."""

    digest: str
    body: Described


Catalog = Mapping[str, CatalogEntry]
"""``kind:name`` of everything a workflow may refer to, with its version."""


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """A way from one node to another.

    Edges of a branch carry the case's condition; its default is ``otherwise``.
    """

    source: str
    target: str
    end: EdgeEnd = "done"
    when: Expression | None = None
    otherwise: bool = False


@dataclass(frozen=True, slots=True)
class StageTool:
    """A tool that a model may call within a stage."""

    tool: Tool
    input_schema: Schema | None = None
    output_schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A stage, ready to ask a model with; ``input`` is all its template sees."""

    stage: Stage
    instructions: Template
    tools: Mapping[str, StageTool] = field(default_factory=dict)
    """By the name under which the model calls them."""

    routes: Mapping[str, str] = field(default_factory=dict)
    """Of a node that picks a way: the node that each name leads to."""

    default: str | None = None
    """Where it leads if the model picks none of them."""


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node with everything compiled that it needs to run."""

    position: int
    """Its place in topological order, from 0."""

    definition: WorkflowNode
    incoming: tuple[PlanEdge, ...]
    outgoing: tuple[PlanEdge, ...]
    template: Template | None = None
    """The rendered part: a tool's input, a transform's or an end's output."""

    expressions: Mapping[str, Expression] = field(default_factory=dict)
    """Other compiled expressions by field name (``seconds``, ``until``)."""

    input_schema: Schema | None = None
    output_schema: Schema | None = None
    tool: Tool | None = None
    prompt: Prompt | None = None
    """What a model is asked with, if the node asks one."""

    knowledge: Mapping[str, JsonObject] = field(default_factory=dict)
    """What the node may look up, by name."""

    @property
    def id(self) -> str:
        """The node's id."""
        return self.definition.id

    @property
    def type(self) -> str:
        """The node's type."""
        return self.definition.type

    def leaving(self, end: EdgeEnd) -> tuple[PlanEdge, ...]:
        """The edges that leave this end of the node, in order."""
        return tuple(edge for edge in self.outgoing if edge.end == end)

    @property
    def needs_own_decision(self) -> bool:
        """Whether the call is judged by itself, with its real arguments."""
        asks = getattr(self.definition, "approval", None) is not None
        risky = self.tool is not None and self.tool.needs_own_decision
        return self.type == "approval" or asks or risky


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole workflow, ready to be judged and to run."""

    workflow: Workflow
    digest: str
    """The digest of the workflow's definition."""

    pins: Mapping[str, str]
    """``kind:name`` → digest of the workflow and of everything it uses."""

    nodes: Mapping[str, PlanNode]
    """By id, in topological order; the first is the start node."""

    start: str
    risk: Risk
    """The highest risk that the run's own verdict covers."""

    facts: JsonObject
    """What rules and approvers see: risk, tools, effects, node counts."""

    warnings: tuple[Problem, ...] = ()
    """What is allowed, and may not do what its author thinks."""
