"""The command line: one command a file, the same words as the API."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from contracts import ConfigurationError, SluicegateError
from sluicegate import __version__
from sluicegate.cli import (
    approvals,
    dead_letters,
    keys,
    ledger,
    policy,
    running,
    serving,
    tracing,
)
from sluicegate.cli.chat import chat
from sluicegate.cli.doctor import doctor
from sluicegate.cli.importing import import_
from sluicegate.cli.logbook import logs
from sluicegate.cli.screen import CONFIGURATION, fail, margin

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sluicegate: agents that act, behind one gate.",
)
app.command()(serving.serve)
app.command()(serving.demo)
app.command()(serving.migrate)
app.command()(running.run)
app.command()(running.decide)
app.command()(chat)
app.command("import")(import_)
app.command()(approvals.approvals)
app.command()(approvals.approve)
app.command()(approvals.refuse)
app.command()(running.runs)
app.command()(running.events)
app.command()(tracing.trace)
app.command()(logs)
app.add_typer(policy.app, name="policy")
app.add_typer(ledger.app, name="ledger")
app.add_typer(keys.app, name="keys")
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(keys.freeze)
app.command()(doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sluicegate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Sluicegate: agents that act, behind one gate."""


def main() -> None:
    """Run a command; an error is one sentence and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        margin.print(f"error {error.message}", style="red", markup=False)
        sys.exit(CONFIGURATION)
    except SluicegateError as error:
        fail(error)


__all__ = ["app", "main"]
