"""``serve`` and ``demo``: the whole service in this process."""

from __future__ import annotations

from typing import Annotated

import typer

from sluicegate.cli.options import Config, config_path

Role = Annotated[str, typer.Option(help="Only all is available in this release.")]
Port = Annotated[
    int | None, typer.Option(help="Instead of server.port; 0: a free one.")
]


def serve(config: Config = None, role: Role = "all", port: Port = None) -> None:
    """Start the service and stay until it is told to stop."""
    # the heavy half of the system is only imported where it runs
    from sluicegate.process import run_service

    raise SystemExit(run_service(config_path(config), role=role, port=port))


def demo(
    config: Config = None,
    port: Port = None,
    keep: Annotated[
        bool, typer.Option("--keep/--end", help="Go on serving afterwards.")
    ] = True,
) -> None:
    """Serve with the examples loaded, run one gated workflow, and show it."""
    from sluicegate.demo import run_demo

    raise SystemExit(run_demo(config_path(config), port=port, keep=keep))
