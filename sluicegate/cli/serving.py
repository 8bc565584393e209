"""``serve``, ``demo`` and ``migrate``: the whole service, or its store alone."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import anyio
import typer

from sluicegate.cli.options import Config, config_path
from sluicegate.cli.screen import screen
from sluicegate.config import load_settings
from store import open_store

Role = Annotated[str, typer.Option(help="all, gateway, coordinator or worker.")]
Telegram = Annotated[
    str, typer.Option(help="off, webhook or polling, instead of telegram.mode.")
]
Port = Annotated[
    int | None, typer.Option(help="Instead of server.port; 0: a free one.")
]


def serve(
    config: Config = None,
    role: Role = "all",
    port: Port = None,
    telegram: Telegram = "",
) -> None:
    """Start the service and stay until it is told to stop."""
    # the heavy half of the system is only imported where it runs
    from sluicegate.process import run_service

    path = config_path(config)
    raise SystemExit(run_service(path, role=role, port=port, telegram=telegram))


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


def migrate(config: Config = None) -> None:
    """Bring the store to the newest schema; every start does so by itself."""
    settings = load_settings(config_path(config))
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    anyio.run(_open_once, settings.store_url)
    where = urlsplit(settings.store_url)
    named = where.path if where.hostname is None else f"{where.hostname}{where.path}"
    screen.print(f"{where.scheme}: {named} has the newest schema", soft_wrap=True)


async def _open_once(url: str) -> None:
    async with open_store(url) as store:
        await store.ping()
