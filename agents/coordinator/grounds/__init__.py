"""Grounds: what a decision rests on, every name in it resolved."""

from __future__ import annotations

from agents.coordinator.grounds.grounding import Groundwork

__all__ = ["Groundwork"]
