"""The agent that acts: it alone knows the run entry."""

from __future__ import annotations

from agents.workflow.agent import WorkflowAgent
from agents.workflow.nudges import Nudges

__all__ = ["Nudges", "WorkflowAgent"]
