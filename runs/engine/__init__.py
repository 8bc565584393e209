"""The engine: runs owned by lease, driven from their log, recorded before acting."""

from __future__ import annotations

from runs.engine.authority import Authority
from runs.engine.engine import Engine
from runs.engine.ports import Ports, Terms

__all__ = ["Authority", "Engine", "Ports", "Terms"]
