"""Every action there is: who may propose it, who carries it out, with what.

The table ``ACTIONS`` is the whole of it; an action without a row does not exist.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from contracts import action_args as args
from contracts.message import Message
from contracts.permissions import Permission

Action = Literal[
    "conversation.turn",
    "conversation.create",
    "conversation.bind",
    "conversation.unbind",
    "workflow.run",
    "workflow.save",
    "workflow.delete",
    "workflow.publish",
    "workflow.unpublish",
    "workflow.import",
    "workflow.author",
    "tool.save",
    "tool.delete",
    "tool.call",
    "stage.save",
    "stage.delete",
    "node.save",
    "node.delete",
    "flow.save",
    "flow.delete",
    "knowledge.save",
    "knowledge.delete",
    "message.send",
    "run.cancel",
    "run.resume",
    "run.retry",
    "run.signal",
    "run.hold",
    "approval.request",
    "approval.grant",
    "approval.refuse",
    "allowance.grant",
    "allowance.revoke",
    "freeze.set",
    "freeze.clear",
    "schedule.pause",
    "schedule.resume",
    "schedule.run_now",
    "batch.create",
    "batch.cancel",
    "key.create",
    "key.revoke",
    "bridge.pair",
    "bridge.revoke",
    "dead_letter.retry",
    "dead_letter.drop",
    "policy.reload",
]

Carrier = Literal["entry", "coordinator", "conversation"]
"""Who carries an approved action out."""


class ActionRow(NamedTuple):
    """What the gate knows of an action before it looks at the arguments."""

    args: type[Message]
    permission: Permission
    carrier: Carrier = "entry"
    freeze_exempt: bool = False


def _definition_rows(kind: str) -> dict[str, ActionRow]:
    return {
        f"{kind}.save": ActionRow(args.SaveDefinition, "definition.write"),
        f"{kind}.delete": ActionRow(args.DeleteDefinition, "definition.write"),
    }


ACTIONS: dict[str, ActionRow] = {
    "conversation.turn": ActionRow(args.Turn, "conversation", "conversation"),
    "conversation.create": ActionRow(args.CreateConversation, "conversation"),
    "conversation.bind": ActionRow(args.Bind, "conversation"),
    "conversation.unbind": ActionRow(args.OfConversation, "conversation"),
    "workflow.run": ActionRow(args.RunWorkflow, "workflow.run"),
    **_definition_rows("workflow"),
    "workflow.publish": ActionRow(args.Publish, "workflow.publish"),
    "workflow.unpublish": ActionRow(args.OfDefinition, "workflow.publish"),
    "workflow.import": ActionRow(args.ImportBundle, "definition.write"),
    "workflow.author": ActionRow(args.Author, "definition.write"),
    **_definition_rows("tool"),
    "tool.call": ActionRow(args.CallTool, "tool.call"),
    **_definition_rows("stage"),
    **_definition_rows("node"),
    **_definition_rows("flow"),
    **_definition_rows("knowledge"),
    "message.send": ActionRow(args.SendMessage, "message.send"),
    "run.cancel": ActionRow(args.CancelRun, "run.control", freeze_exempt=True),
    "run.resume": ActionRow(args.ResumeRun, "run.control"),
    "run.retry": ActionRow(args.RetryRun, "run.control"),
    "run.signal": ActionRow(args.SignalRun, "run.control"),
    "run.hold": ActionRow(args.HoldRun, "run.control"),
    "approval.request": ActionRow(args.RequestApproval, "workflow.run"),
    "approval.grant": ActionRow(args.Vote, "approval.vote", "coordinator"),
    "approval.refuse": ActionRow(
        args.Vote, "approval.vote", "coordinator", freeze_exempt=True
    ),
    "allowance.grant": ActionRow(args.GrantAllowance, "allowance.manage"),
    "allowance.revoke": ActionRow(args.OfId, "allowance.manage", freeze_exempt=True),
    "freeze.set": ActionRow(args.Freeze, "freeze.manage"),
    "freeze.clear": ActionRow(args.Freeze, "freeze.manage", freeze_exempt=True),
    "schedule.pause": ActionRow(args.OfId, "schedule.control"),
    "schedule.resume": ActionRow(args.OfId, "schedule.control"),
    "schedule.run_now": ActionRow(args.OfId, "schedule.control"),
    "batch.create": ActionRow(args.CreateBatch, "workflow.run"),
    "batch.cancel": ActionRow(args.OfId, "run.control", freeze_exempt=True),
    "key.create": ActionRow(args.CreateKey, "key.manage"),
    "key.revoke": ActionRow(args.OfId, "key.manage", freeze_exempt=True),
    "bridge.pair": ActionRow(args.PairBridge, "bridge.manage"),
    "bridge.revoke": ActionRow(args.OfId, "bridge.manage", freeze_exempt=True),
    "dead_letter.retry": ActionRow(args.OfId, "dead_letter.manage"),
    "dead_letter.drop": ActionRow(args.OfId, "dead_letter.manage"),
    "policy.reload": ActionRow(args.ReloadPolicy, "policy.manage"),
}
"""The table action × arguments × permission × carrier."""

if set(ACTIONS) != set(get_args(Action)):
    raise RuntimeError("contracts.actions: Action and ACTIONS name different actions")
