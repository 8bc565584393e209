"""Who decides: three agents that exchange messages and never know each other.

Each is fed by ``agents.activation``; none of them is imported by another.
"""

from __future__ import annotations

from agents.activation import Activation, Chore, Ear, Hearing
from agents.presence import Presence

__all__ = ["Activation", "Chore", "Ear", "Hearing", "Presence"]
