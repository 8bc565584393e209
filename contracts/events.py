"""Run events: three meanings that never mix, in one table.

*Planning* explains and is never evidence; *tool_call* says an executor was really
called; *execution* says a node really ran.
The table is rendered into ``docs/events.md``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from pydantic import Field

from contracts.clock import Timestamp
from contracts.ids import Id
from contracts.message import JsonObject, Message

EventChannel = Literal[
    "lifecycle", "execution", "tool_call", "model", "planning", "approval"
]

RunEventType = Literal[
    "run_created",
    "run_claimed",
    "run_started",
    "run_paused",
    "run_resumed",
    "run_cancel_requested",
    "workflow_complete",
    "workflow_error",
    "run_canceled",
    "node_start",
    "node_complete",
    "node_error",
    "node_skipped",
    "node_retry",
    "tool_call",
    "tool_result",
    "tool_error",
    "tool_unknown",
    "model_request",
    "model_response",
    "model_error",
    "model_told",
    "approval_requested",
    "approval_granted",
    "approval_refused",
    "approval_expired",
]
"""What may stand in a run's log."""

PlanningEventType = Literal[
    "planning_step",
    "plan_reachability",
    "modifications_preview",
    "workflow_updated",
]
"""What explains a plan; never in a run's log."""


class EventRow(NamedTuple):
    """The channel of an event type, what it says, and what its payload holds."""

    channel: EventChannel
    sentence: str
    payload: str = ""


EVENTS: dict[str, EventRow] = {
    "run_created": EventRow(
        "lifecycle",
        "The run exists.",
        "workflow, version, digest, decision_id, input, origin, carried, waiting_on",
    ),
    "run_claimed": EventRow(
        "lifecycle", "A worker owns the run; its seq is the epoch.", "worker"
    ),
    "run_started": EventRow("lifecycle", "The first node is about to run."),
    "run_paused": EventRow(
        "lifecycle",
        "Nothing in the run runs or is ready.",
        "reason, waiting_on, signals that came early",
    ),
    "run_resumed": EventRow("lifecycle", "The run goes on.", "by"),
    "run_cancel_requested": EventRow(
        "lifecycle", "Somebody asked for the end; no further effect.", "by, reason"
    ),
    "workflow_complete": EventRow(
        "lifecycle", "The run succeeded; the one meaning of success.", "output"
    ),
    "workflow_error": EventRow("lifecycle", "The run failed.", "error, node_id"),
    "run_canceled": EventRow("lifecycle", "The run was canceled.", "reason"),
    "node_start": EventRow(
        "execution",
        "A node began an attempt.",
        "input, decision_id, wait, step, carried",
    ),
    "node_complete": EventRow(
        "execution", "A node is done.", "output, routes, by, signal, carried"
    ),
    "node_error": EventRow("execution", "An attempt failed.", "error, will, routes"),
    "node_skipped": EventRow("execution", "No branch leads here any more."),
    "node_retry": EventRow(
        "execution", "Another attempt follows.", "attempt, not_before, by"
    ),
    "tool_call": EventRow(
        "tool_call",
        "A real executor is about to be called; written before the call.",
        "call_id, tool, input, effect, key, decision_id",
    ),
    "tool_result": EventRow(
        "tool_call", "The tool answered.", "call_id, output, breach"
    ),
    "tool_error": EventRow(
        "tool_call", "The call failed.", "call_id, error, again, after_s"
    ),
    "tool_unknown": EventRow(
        "tool_call",
        "Whether the call happened is not known.",
        "call_id, reason: timeout, lost or canceled, error, crashed",
    ),
    "model_request": EventRow(
        "model",
        "A real model is about to be called; written before the call.",
        "call_id, stage, turn",
    ),
    "model_response": EventRow(
        "model",
        "The model answered; written before anything follows from it.",
        "call_id, text, functions, breach, usage, cost, provider, model, response_id, "
        "request_id, latency_ms",
    ),
    "model_error": EventRow(
        "model",
        "The model call failed, or its answer got lost.",
        "call_id, error, again, after_s, crashed, usage, cost",
    ),
    "model_told": EventRow(
        "model",
        "What the model is told of a function that it called.",
        "function, output",
    ),
    "approval_requested": EventRow(
        "approval", "People are asked.", "approval_id, decision_id, rules, expires_at"
    ),
    "approval_granted": EventRow(
        "approval", "The gate approved after asking.", "decision_id, verdict_id"
    ),
    "approval_refused": EventRow("approval", "A person refused.", "decision_id, by"),
    "approval_expired": EventRow("approval", "Nobody answered in time."),
    "planning_step": EventRow("planning", "One step of a plan, explained."),
    "plan_reachability": EventRow(
        "planning", "What a plan can reach.", "reachable, unreachable, missing"
    ),
    "modifications_preview": EventRow("planning", "A draft and its problems."),
    "workflow_updated": EventRow("planning", "A draft was saved as a version."),
}
"""Every event type; the one place that knows their channels."""

if set(EVENTS) != {*get_args(RunEventType), *get_args(PlanningEventType)}:
    raise RuntimeError("contracts.events: the types and the table differ")

TERMINAL: frozenset[str] = frozenset(
    {"workflow_complete", "workflow_error", "run_canceled"}
)
"""A run's log ends with exactly one of these."""


class RunEvent(Message):
    """One entry of a run's log: ``seq`` counts 1..n without gaps."""

    id: Id
    run_id: Id
    seq: int = Field(ge=1)
    type: RunEventType
    channel: EventChannel
    node_id: str | None = None
    attempt: int | None = None
    at: Timestamp
    simulated: Literal[False] = False
    payload: JsonObject = Field(default_factory=dict)


class PlanningEvent(Message):
    """An explanation; ``simulated`` and ``source`` are always there."""

    type: PlanningEventType
    channel: Literal["planning"] = "planning"
    at: Timestamp
    simulated: Literal[True] = True
    source: str
    payload: JsonObject = Field(default_factory=dict)
