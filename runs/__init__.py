"""What is done: the run entry, the engine, steps, effects and tools."""

from __future__ import annotations

from runs.effects.guarded_http import HttpPolicy
from runs.engine import Authority, Engine, Ports, Terms
from runs.tools import (
    Credential,
    ToolContext,
    ToolFunction,
    Tools,
    open_tools,
    registered_functions,
)

__all__ = [
    "Authority",
    "Credential",
    "Engine",
    "HttpPolicy",
    "Ports",
    "Terms",
    "ToolContext",
    "ToolFunction",
    "Tools",
    "open_tools",
    "registered_functions",
]
