"""The life of the serving process: start, say so, stay, stop when told."""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import structlog

from contracts import ConfigurationError, Policy
from sluicegate import __version__
from sluicegate.clock import SystemClock
from sluicegate.config import Settings, load_policy, load_settings
from sluicegate.invocation import COMMAND
from sluicegate.logs import configure_logs
from sluicegate.roles import Roles, refuse_impossible, roles_of
from sluicegate.wiring import Service, open_service

_YOUNG_OBJECTS = 10_000
"""How many new objects are looked through for cycles at a time."""


def run_service(
    path: Path, *, role: str = "all", port: int | None = None, telegram: str = ""
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    ``port`` and ``telegram`` are said on the command line instead of in the file.

    Raises ConfigurationError for what cannot be started.
    """
    roles = roles_of(role)
    settings = with_telegram(settings_of(path, roles, port=port), telegram)
    configure(settings)
    faster = {"use_uvloop": has_uvloop()}
    anyio.run(_serve, path, settings, roles, backend_options=faster)
    return 0


def settings_of(path: Path, roles: Roles, *, port: int | None) -> Settings:
    """The settings of the file, with what the command line says instead.

    Raises ConfigurationError, also for roles that cannot have this bus and store.
    """
    settings = load_settings(path)
    refuse_impossible(settings, roles)
    if port is None:
        return settings

    server = settings.server.model_copy(update={"port": port})
    return settings.model_copy(update={"server": server})


def with_telegram(settings: Settings, mode: str) -> Settings:
    """The settings with another mode of Telegram, if one is named.

    Raises ConfigurationError.
    """
    if not mode:
        return settings

    if mode not in ("off", "webhook", "polling"):
        raise ConfigurationError(f"--telegram: {mode} is not off, webhook or polling")

    telegram = settings.telegram.model_copy(update={"mode": mode})
    return settings.model_copy(update={"telegram": telegram})


def configure(settings: Settings, *, terminal_level: str = "") -> None:
    """Send log lines where the settings say."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = settings.keys
    given: list[str | None] = [
        keys.secret_of(name) for name in ("seal", "bus", "bootstrap_admin")
    ]
    bot = (settings.telegram.token, settings.telegram.secret)
    given += [secret.get_secret_value() for secret in bot if secret]
    given += [urlsplit(url).password for url in (settings.bus.url, settings.store.url)]
    configure_logs(
        level=settings.logging.level,
        style=settings.logging.format,
        file=settings.log_file,
        terminal_level=terminal_level or ("warning" if sys.stderr.isatty() else ""),
        secrets=[*filter(None, given)],
    )


def has_uvloop() -> bool:
    """Whether the faster event loop is installed."""
    try:
        import uvloop  # noqa: F401  only to see whether it is there
    except ImportError:
        return False

    return True


def spare_collector() -> None:
    """Look for garbage less often, and never among what a start has built.

    That lives as long as the process, and is most of what would be looked through.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def _serve(path: Path, settings: Settings, roles: Roles) -> None:
    log = structlog.get_logger("process")
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:

        def load() -> Policy:
            return load_policy(load_settings(path))

        opening = open_service(settings, SystemClock(), load, roles=roles)
        async with opening as service:
            spare_collector()
            log.info(
                "process.started",
                url=service.url,
                version=__version__,
                roles=sorted(roles),
            )
            _greet(service, roles)
            async for received in signals:
                log.info("process.stopping", signal=received.name)
                break


def _greet(service: Service, roles: Roles) -> None:
    """What a person who started it wants to know next."""
    sys.stdout.write(
        _greeting(service) if "gateway" in roles else _notice(service, roles)
    )
    sys.stdout.flush()


def _notice(service: Service, roles: Roles) -> str:
    return (
        f"Sluicegate {__version__} works as {' and '.join(sorted(roles))}\n"
        f"  health     {service.url}/readyz\n"
        "  stop       Ctrl-C (what is under way is finished or handed back)\n"
    )


def _greeting(service: Service) -> str:
    kept = service.data_dir / "admin.key"
    known = f"{kept} (the commands find it there)"
    elsewhere = "made before, and not here: set SLUICEGATE_KEY to a key of yours"
    return (
        f"Sluicegate {__version__} listens on {service.url}\n"
        f"  key        {known if kept.exists() else elsewhere}\n"
        f"  look       {COMMAND} doctor\n"
        f"  try        {COMMAND} demo (loads the examples here, and runs one)\n"
        "  stop       Ctrl-C\n"
    )
