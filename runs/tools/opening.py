"""Tools made ready: every executor of this release behind one door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from contracts import Clock
from runs.effects.guarded_http import GuardedHttp, HttpPolicy
from runs.tools.builtin import BuiltinTools
from runs.tools.http import Credential, HttpGet, HttpTools
from runs.tools.python import PythonTools, ToolFunction
from runs.tools.registry import Tools


@asynccontextmanager
async def open_tools(
    clock: Clock,
    *,
    policy: HttpPolicy | None = None,
    credentials: Mapping[str, Credential] | None = None,
    functions: Mapping[str, ToolFunction] | None = None,
) -> AsyncIterator[Tools]:
    """Tools of the kinds ``builtin``, ``http`` and ``python``, while it is entered.

    ``functions`` are the python tools by name: ``registered_functions()``.
    """
    functions = functions or {}
    async with GuardedHttp(policy) as http:
        yield Tools(
            {
                "builtin": BuiltinTools(clock, HttpGet(http, clock)),
                "http": HttpTools(http, clock, credentials or {}),
                "python": PythonTools(functions),
            },
            python_tools=tuple(sorted(functions)),
        )
