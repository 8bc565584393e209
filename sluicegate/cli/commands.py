"""Which command is where; a module is imported when its command is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

_PLACES = {
    "serve": "serving.serve",
    "demo": "serving.demo",
    "migrate": "serving.migrate",
    "run": "running.run",
    "decide": "running.decide",
    "chat": "chat.chat",
    "import": "importing.import_",
    "approvals": "approvals.approvals",
    "approve": "approvals.approve",
    "refuse": "approvals.refuse",
    "runs": "running.runs",
    "events": "running.events",
    "trace": "tracing.trace",
    "logs": "logbook.logs",
    "freeze": "keys.freeze",
    "doctor": "doctor.doctor",
    "policy": "policy.app",
    "ledger": "ledger.app",
    "keys": "keys.app",
    "dead-letters": "dead_letters.app",
}
"""By the name of a command: its module in this package, and what it is called there."""


class OnDemand(TyperGroup):
    """The commands, of which only those are loaded that are asked for."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.commands = cast(Any, _Commands())


class _Commands(Mapping[str, Any]):
    """The commands by their names, in the order of the help page."""

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = _PLACES[name].partition(".")
        found = getattr(import_module(f"sluicegate.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(name)(found)
            command = typer.main.get_command(alone)

        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)
