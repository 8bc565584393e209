"""Tools: one executor per kind, and the ways a call can end."""

from __future__ import annotations

from runs.tools.builtin import BuiltinTools
from runs.tools.calling import Executor, ToolCall
from runs.tools.http import Credential, HttpGet, HttpTools
from runs.tools.opening import open_tools
from runs.tools.python import (
    PythonTools,
    ToolContext,
    ToolFunction,
    registered_functions,
)
from runs.tools.registry import Tools

__all__ = [
    "BuiltinTools",
    "Credential",
    "Executor",
    "HttpGet",
    "HttpTools",
    "PythonTools",
    "ToolCall",
    "ToolContext",
    "ToolFunction",
    "Tools",
    "open_tools",
    "registered_functions",
]
