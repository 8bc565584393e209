"""The command line: one command a file, the same words as the API."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from contracts import ConfigurationError, SluicegateError
from sluicegate import __version__
from sluicegate.cli.commands import OnDemand
from sluicegate.cli.screen import CONFIGURATION, fail, margin

app = typer.Typer(
    cls=OnDemand,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
