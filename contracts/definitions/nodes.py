"""The node types of workflows, one model each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts.definitions.names import CelText, DefinitionName, NodeId
from contracts.definitions.triggers import Triggers
from contracts.message import JsonObject, Message

OnError = Literal["fail", "pause", "continue"]
Timeout = Annotated[float, Field(gt=0, le=86_400)]


class Retry(Message):
    """How often an attempt is made, and the first wait in seconds; it doubles."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 1
    backoff_s: Annotated[float, Field(gt=0, le=86_400)] = 1.0


class ApprovalTerms(Message):
    """Who must agree before the node acts."""

    approvers: Annotated[tuple[str, ...], Field(min_length=1)] = ("role:approver",)
    quorum: Annotated[int, Field(ge=1, le=20)] = 1
    not_self: bool = True
    expires_s: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400


class Node(Message):
    """What every node may say."""

    id: NodeId
    label: Annotated[str, StringConstraints(max_length=200)] = ""
    join: Literal["all", "any"] = "all"


class Acting(Node):
    """What every node that may fail or cost something may say besides."""

    approval: Literal["required"] | ApprovalTerms | None = None
    on_error: OnError | None = None
    """Default: ``fail`` if unattended, ``pause`` if attended."""

    retry: Retry | None = None
    timeout_s: Timeout | None = None

    @property
    def approval_terms(self) -> ApprovalTerms | None:
        """The terms of a required approval."""
        return ApprovalTerms() if self.approval == "required" else self.approval


class WorkflowStart(Node):
    """The input contract, the triggers, and how long a caller waits."""

    type: Literal["workflow_start"]
    input_schema: JsonObject = Field(default_factory=lambda: {"type": "object"})
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 30.0
    triggers: Triggers = Triggers()


class WorkflowEnd(Node):
    """The declared result: the only fields that are returned."""

    type: Literal["workflow_end"]
    output: JsonObject = Field(default_factory=dict)
    output_schema: JsonObject = Field(default_factory=dict)


class Transform(Node):
    """Computes values."""

    type: Literal["transform"]
    output: JsonObject


class ToolNode(Acting):
    """Calls a tool."""

    type: Literal["tool"]
    tool: DefinitionName
    input: JsonObject = Field(default_factory=dict)


class Case(Message):
    """One way out of a branch."""

    when: CelText
    to: NodeId


class Branch(Node):
    """The first case that holds, else the default."""

    type: Literal["branch"]
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=100)]
    default: NodeId | None = None


class Fail(Node):
    """Ends the run with an error."""

    type: Literal["fail"]
    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = (
        "workflow_failed"
    )
    message: Annotated[str, StringConstraints(max_length=2_000)] = ""


class Wait(Node):
    """Waits for a duration, a time, or a named signal."""

    type: Literal["wait"]
    seconds: Annotated[float, Field(gt=0, le=31_536_000)] | CelText | None = None
    until: CelText | None = None
    signal: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = (
        None
    )
    timeout_s: Annotated[float, Field(gt=0, le=31_536_000)] | None = None
    """Only with ``signal``: then the node fails."""

    @model_validator(mode="after")
    def _waits_for_one_thing(self) -> Wait:
        given = [self.seconds, self.until, self.signal]
        if sum(thing is not None for thing in given) != 1:
            raise ValueError("a wait node names exactly one of seconds, until, signal")

        return self


class ApprovalNode(Node):
    """Waits for a person; goes on along ``refused`` edges if they say no."""

    type: Literal["approval"]
    message: Annotated[str, StringConstraints(max_length=4_000)] = ""
    show: JsonObject = Field(default_factory=dict)
    """Values the approver sees."""

    approvers: Annotated[tuple[str, ...], Field(min_length=1)] = ("role:approver",)
    quorum: Annotated[int, Field(ge=1, le=20)] = 1
    not_self: bool = True
    timeout_s: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    form_schema: JsonObject = Field(default_factory=dict)

    @property
    def terms(self) -> ApprovalTerms:
        """The terms of the question."""
        return ApprovalTerms(
            approvers=self.approvers,
            quorum=self.quorum,
            not_self=self.not_self,
            expires_s=self.timeout_s,
        )


class ModelNode(Acting):
    """Calls a model through a stage."""

    type: Literal["model"]
    stage: DefinitionName
    input: JsonObject = Field(default_factory=dict)


class Route(Message):
    """One named way a model may pick."""

    name: NodeId
    description: str = ""
    to: NodeId


class Classify(Acting):
    """A model picks one of the routes."""

    type: Literal["classify"]
    stage: DefinitionName | None = None
    input: JsonObject = Field(default_factory=dict)
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    default: NodeId | None = None


class ForEach(Acting):
    """A bounded body per item."""

    type: Literal["for_each"]
    items: CelText
    body: JsonObject
    concurrency: Annotated[int, Field(ge=1, le=64)] = 1
    collect: Literal["fail", "collect"] = "fail"
    max_items: Annotated[int, Field(ge=1, le=10_000)] | None = None


class RepeatUntil(Acting):
    """A bounded body until an expression holds."""

    type: Literal["repeat_until"]
    until: CelText
    body: JsonObject
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] | None = None
    interval_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0


class Retrieve(Acting):
    """Looks up knowledge."""

    type: Literal["retrieve"]
    knowledge: DefinitionName
    query: JsonObject = Field(default_factory=dict)


class CallWorkflow(Acting):
    """Runs another workflow as a child run."""

    type: Literal["call_workflow"]
    workflow: DefinitionName
    input: JsonObject = Field(default_factory=dict)


class Notify(Acting):
    """A message to the run's chat while it goes on."""

    type: Literal["notify"]
    text: Any


class Use(Acting):
    """A reusable pipeline node, expanded when compiled."""

    type: Literal["use"]
    use: DefinitionName
    variables: JsonObject = Field(default_factory=dict)


WorkflowNode = Annotated[
    WorkflowStart
    | WorkflowEnd
    | ModelNode
    | ToolNode
    | Transform
    | Branch
    | Classify
    | ForEach
    | RepeatUntil
    | ApprovalNode
    | Wait
    | Retrieve
    | CallWorkflow
    | Notify
    | Fail
    | Use,
    Field(discriminator="type"),
]
"""A node of a workflow."""

WORKFLOW_NODE_TYPES = frozenset(
    [
        "workflow_start",
        "workflow_end",
        "model",
        "tool",
        "transform",
        "branch",
        "classify",
        "for_each",
        "repeat_until",
        "approval",
        "wait",
        "retrieve",
        "call_workflow",
        "notify",
        "fail",
        "use",
    ]
)
"""The registry of workflow node types; disjoint from the agent flows'."""
