"""The arguments of each action, one model an action or family."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.characters import identifier
from contracts.clock import Timestamp
from contracts.ids import Id
from contracts.message import JsonObject, Message
from contracts.permissions import Role

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(identifier)
]
Text = Annotated[str, StringConstraints(max_length=20_000)]
Comment = Annotated[str, StringConstraints(max_length=2_000)]
Count = Annotated[int, Field(ge=1, le=10_000)]


class OfId(Message):
    """An action on the thing of this id."""

    id: Name


class OfConversation(Message):
    """An action on a conversation."""

    conversation_id: Id


class Turn(OfConversation):
    """One message of a person, to be thought about."""

    inbox_id: Name


class CreateConversation(Message):
    """A new conversation on a channel."""

    channel: Literal["http", "telegram"] = "http"


class Bind(OfConversation):
    """A chat that belongs to a person, or talks to an agent flow."""

    flow: Name | None = None
    code: Name | None = None


class RunWorkflow(Message):
    """A run of a workflow or an agent flow; exactly one of the two is named."""

    workflow: Name | None = None
    flow: Name | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    input: JsonObject = Field(default_factory=dict)
    key: Name | None = None
    on_conflict: Literal["reject", "use_existing"] = "reject"
    tags: tuple[Name, ...] = Field(default=(), max_length=20)
    start: bool = True

    @model_validator(mode="after")
    def _names_one(self) -> RunWorkflow:
        if (self.workflow is None) == (self.flow is None):
            raise ValueError("name exactly one of workflow and flow")

        return self


class SaveDefinition(Message):
    """A new version of a definition; the definition names itself."""

    definition: JsonObject
    version: Annotated[int, Field(ge=1)] | None = None
    """The version this was edited from; None creates."""


class OfDefinition(Message):
    """An action on the definition of this name or id."""

    name: Name


class DeleteDefinition(OfDefinition):
    """The head goes; what pinned a version still finds it."""

    version: Annotated[int, Field(ge=1)] | None = None


class Publish(OfDefinition):
    """This version serves the workflow's triggers."""

    version: Annotated[int, Field(ge=1)] | None = None


class ImportBundle(Message):
    """A bundle in the staging area, imported whole or not at all."""

    upload_id: Name
    digest: Name


class Author(Message):
    """A workflow to be made by chat; the message itself is not shown to the gate."""

    mode: Literal["create", "edit"]
    message_len: Annotated[int, Field(ge=0)]
    project_id: Name | None = None
    workflow: Name | None = None


class CallTool(Message):
    """One call of a tool with these very arguments."""

    tool: Name
    input: JsonObject = Field(default_factory=dict)
    node_id: Name | None = None
    """The node of the proposing run, if a run proposes."""

    attempt: Annotated[int, Field(ge=1)] = 1


class SendMessage(Message):
    """A message to another channel than the asker's."""

    channel: Literal["telegram", "http"]
    address: Name
    text: Text


class OfRun(Message):
    """An action on a run."""

    run_id: Id


class CancelRun(OfRun):
    """No further effect of this run."""

    reason: Comment = ""


class ResumeRun(OfRun):
    """An answer to what a paused run waits for."""

    node_id: Name | None = None
    resolution: Literal["happened", "did_not_happen"] | None = None
    result: JsonObject | None = None


class RetryRun(OfRun):
    """A new attempt: in place if paused, as a new run if ended."""

    from_node: Name | None = None


class SignalRun(OfRun):
    """A named event for a run that waits for it."""

    name: Name
    payload: JsonObject = Field(default_factory=dict)


class HoldRun(OfRun):
    """Whether retention leaves this run alone."""

    hold: bool = True


class RequestApproval(OfRun):
    """An approval node asks a person."""

    node_id: Name
    attempt: Annotated[int, Field(ge=1)] = 1
    form: JsonObject = Field(default_factory=dict)
    """What the approver is shown: the node's rendered message and values."""


class Vote(Message):
    """A vote on an approval."""

    approval_id: Id
    comment: Comment = ""


class GrantAllowance(Message):
    """A standing grant: this action, so often or so much, until then."""

    action_digest: Name | None = None
    action: Name | None = None
    match: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    times: Count | None = None
    amount: Annotated[float, Field(gt=0)] | None = None
    until: Timestamp


class Freeze(Message):
    """What stands still: everything of the tenant, one tool or one workflow."""

    scope: Literal["tenant", "tool", "workflow"] = "tenant"
    name: Name | None = None
    reason: Comment = ""


class CreateBatch(Message):
    """Many runs of one workflow."""

    workflow: Name
    inputs: tuple[JsonObject, ...] = Field(default=(), max_length=10_000)
    n_runs: Count | None = None
    dry_run: bool = False
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 8


class CreateKey(Message):
    """A key for a subject, found or made by name."""

    subject: Name
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    label: Comment = ""
    door: Literal["http", "telegram"] = "http"
    """``telegram``: a code that a person sends to the bot once, with /start."""

    expires_at: Timestamp | None = None


class PairBridge(Message):
    """A one-use code for a remote executor of this owner."""

    owner: Name
    tools: tuple[Name, ...] = ()


class ReloadPolicy(Message):
    """The policy is read again; ``revoke`` voids verdicts of the old one."""

    revoke: bool = False
