"""Stages, pipeline nodes, agent flows and knowledge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.definitions.names import CelText, DefinitionName, Described, NodeId
from contracts.definitions.nodes import ApprovalTerms, OnError, Retry
from contracts.message import JsonObject, Message


class Stage(Described):
    """A call to a model, with a contract for its answer."""

    instructions: Annotated[str, StringConstraints(max_length=100_000)]
    input_schema: JsonObject = Field(default_factory=dict)
    output_schema: JsonObject = Field(default_factory=dict)
    model: str | None = None
    knowledge: tuple[DefinitionName, ...] = ()
    tools: tuple[DefinitionName, ...] = ()
    max_turns: Annotated[int, Field(ge=1, le=50)] = 8
    max_output_tokens: Annotated[int, Field(ge=1, le=200_000)] = 2_000
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    on_invalid: Literal["fail", "repair_once"] = "fail"


class PipelineAction(Message):
    """One call inside a pipeline node."""

    tool: DefinitionName | None = None
    stage: DefinitionName | None = None
    input: JsonObject = Field(default_factory=dict)


class PipelineNode(Described):
    """A reusable node."""

    actions: Annotated[tuple[PipelineAction, ...], Field(min_length=1, max_length=50)]
    variables: dict[str, CelText] = Field(default_factory=dict)
    approval: Literal["required"] | ApprovalTerms | None = None
    on_error: OnError | None = None
    retry: Retry | None = None


class FlowStart(Message):
    """Where a conversation enters the flow."""

    id: NodeId
    type: Literal["start"]
    input_schema: JsonObject = Field(default_factory=dict)


class FlowStage(Message):
    """A stage of the flow."""

    id: NodeId
    type: Literal["stage"]
    stage: DefinitionName
    input: JsonObject = Field(default_factory=dict)


class FlowCase(Message):
    """One way out of a route node."""

    when: CelText
    to: NodeId


class FlowRoute(Message):
    """The first case that holds, else the default."""

    id: NodeId
    type: Literal["route"]
    cases: tuple[FlowCase, ...]
    default: NodeId


class FlowAnswer(Message):
    """What goes back to the person: ``assistantReply``."""

    id: NodeId
    type: Literal["answer"]
    output: JsonObject


FlowNode = Annotated[
    FlowStart | FlowStage | FlowRoute | FlowAnswer, Field(discriminator="type")
]

FLOW_NODE_TYPES = frozenset({"start", "stage", "route", "answer"})
"""The registry of agent-flow node types."""


class FlowEdge(Message):
    """A way from one node to the next."""

    from_: NodeId = Field(alias="from")
    to: NodeId


class AgentFlow(Described):
    """A conversation with a script."""

    kind: Literal["agent_flow"] = "agent_flow"
    nodes: tuple[FlowNode, ...]
    edges: tuple[FlowEdge, ...] = ()


class Knowledge(Described):
    """One file of a knowledge snapshot."""

    content: JsonObject
