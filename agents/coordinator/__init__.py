"""The gate: decisions are judged, recorded, released; people are asked and heard."""

from __future__ import annotations

from agents.coordinator.agent import CoordinatorAgent
from agents.coordinator.explaining import explain
from agents.coordinator.gate import Gate
from agents.coordinator.policy_book import PolicyBook
from agents.coordinator.sealing import Sealer
from agents.coordinator.settings import GateSettings
from agents.coordinator.verdicts import Verdicts

__all__ = [
    "CoordinatorAgent",
    "Gate",
    "GateSettings",
    "PolicyBook",
    "Sealer",
    "Verdicts",
    "explain",
]
