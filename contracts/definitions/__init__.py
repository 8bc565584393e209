"""Definitions: tools, stages, pipeline nodes, workflows, flows, knowledge."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from contracts.clock import Timestamp
from contracts.definitions.names import CelText, DefinitionName, Described, NodeId
from contracts.definitions.nodes import (
    WORKFLOW_NODE_TYPES,
    Acting,
    ApprovalNode,
    ApprovalTerms,
    Branch,
    CallWorkflow,
    Case,
    Classify,
    Fail,
    ForEach,
    ModelNode,
    Node,
    Notify,
    OnError,
    RepeatUntil,
    Retrieve,
    Retry,
    Route,
    ToolNode,
    Transform,
    Use,
    Wait,
    WorkflowEnd,
    WorkflowNode,
    WorkflowStart,
)
from contracts.definitions.stages import (
    FLOW_NODE_TYPES,
    AgentFlow,
    Knowledge,
    PipelineNode,
    Stage,
)
from contracts.definitions.tools import (
    EffectClass,
    HttpCallSpec,
    Risk,
    Tool,
    ToolKind,
    ToolRetry,
)
from contracts.definitions.triggers import HttpTrigger, Parameter, Schedule, Triggers
from contracts.definitions.workflows import Edge, OnFailure, Workflow
from contracts.message import Message

if WORKFLOW_NODE_TYPES & FLOW_NODE_TYPES:
    raise RuntimeError("a node type belongs to workflows and to agent flows")

DefinitionKind = Literal["workflow", "tool", "stage", "node", "flow", "knowledge"]
"""The kinds of definitions; also the first part of a pin ``kind:name``."""

DEFINITIONS: dict[DefinitionKind, type[Described]] = {
    "workflow": Workflow,
    "tool": Tool,
    "stage": Stage,
    "node": PipelineNode,
    "flow": AgentFlow,
    "knowledge": Knowledge,
}
"""The model of each kind."""


class Head(Message):
    """The current version of a definition under its name."""

    model_config = ConfigDict(strict=False)

    id: str
    tenant: str
    kind: DefinitionKind
    name: str
    version: int
    digest: str
    published_version: int | None = None
    created_at: Timestamp
    created_by: str
    decision_id: str
    body: dict[str, Any]
    """The definition itself, as plain JSON."""


__all__ = [
    "DEFINITIONS",
    "FLOW_NODE_TYPES",
    "WORKFLOW_NODE_TYPES",
    "Acting",
    "AgentFlow",
    "ApprovalNode",
    "ApprovalTerms",
    "Branch",
    "CallWorkflow",
    "Case",
    "CelText",
    "Classify",
    "DefinitionKind",
    "DefinitionName",
    "Described",
    "Edge",
    "EffectClass",
    "Fail",
    "ForEach",
    "Head",
    "HttpCallSpec",
    "HttpTrigger",
    "Knowledge",
    "ModelNode",
    "Node",
    "NodeId",
    "Notify",
    "OnError",
    "OnFailure",
    "Parameter",
    "PipelineNode",
    "RepeatUntil",
    "Retrieve",
    "Retry",
    "Risk",
    "Route",
    "Schedule",
    "Stage",
    "Tool",
    "ToolKind",
    "ToolNode",
    "ToolRetry",
    "Transform",
    "Triggers",
    "Use",
    "Wait",
    "Workflow",
    "WorkflowEnd",
    "WorkflowNode",
    "WorkflowStart",
]
