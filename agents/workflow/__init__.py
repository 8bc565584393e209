"""The agent that acts: it alone knows the run entry."""

from __future__ import annotations

from agents.workflow.agent import Heartbeat, WorkflowAgent
from agents.workflow.nudges import Nudges

__all__ = ["Heartbeat", "Nudges", "WorkflowAgent"]
