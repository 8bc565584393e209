"""The gateway: the HTTP door, and the small one that tells of a process's health."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from agents.coordinator import explain
from contracts import ConfigurationError, DecisionRecord, JsonObject
from gateways.http import Cursors, Door, serve_health, serve_http
from gateways.knowledge import open_folder
from gateways.telegram import PATH, Office, open_telegram, webhook
from sluicegate import __version__
from sluicegate.config import Settings
from sluicegate.material import keep
from sluicegate.telegram import telegram_of
from sluicegate.wiring.parts import TENANT, Parts, bus_key_of

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


async def open_door(parts: Parts, life: AsyncExitStack) -> str:
    """Listen; the address that people use. Raises ConfigurationError.

    A gateway has the API at ``server.port``; another process only tells how it is,
    at ``server.health_port``.
    """
    server, door = parts.settings.server, _door(parts)
    if "gateway" not in parts.roles:
        serving = serve_health(door, server.host, server.health_port)
        return f"http://{server.host}:{await life.enter_async_context(serving)}"

    if parts.settings.knowledge.dir:
        folder = Path(parts.settings.knowledge.dir)
        await life.enter_async_context(
            open_folder(folder, TENANT, parts.store, parts.bus, parts.clock)
        )

    door = replace(door, hooks={PATH: webhook(await _telegram(parts, life))})
    serving = serve_http(door, server.host, server.port)
    port = await life.enter_async_context(serving)
    url = server.public_url or f"http://{server.host}:{port}"
    kept = parts.settings.data_dir / "service.url"
    kept.write_text(url + "\n", encoding="utf-8")
    return url


async def _telegram(parts: Parts, life: AsyncExitStack) -> Office | None:
    """Open the Telegram door, if there is one. Raises ConfigurationError."""
    settings = telegram_of(parts.settings, TENANT)
    if settings is None:
        return None

    opening = open_telegram(settings, parts.store, parts.bus, parts.clock)
    return await life.enter_async_context(opening)


def refuse_open_doors(settings: Settings) -> None:
    """Raise ConfigurationError for a door beyond loopback that nobody guards."""
    server = settings.server
    if server.host not in _LOOPBACK and not server.trusted_proxy:
        raise ConfigurationError(
            f"server.host: {server.host} is beyond loopback; put a proxy that ends "
            "TLS in front and set server.trusted_proxy = true"
        )


def _door(parts: Parts) -> Door:
    server = parts.settings.server

    def explained(record: DecisionRecord) -> JsonObject:
        return explain(record, parts.policies.current)

    return Door(
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
        cursors=Cursors(_cursor_key(parts.settings)),
        explain=explained,
        version=__version__,
        gate_deadline_s=parts.settings.gate.deadline_s,
        drain_s=server.drain_s,
        hosts=_LOOPBACK | {server.host, _host_of(server.public_url)},
    )


def _cursor_key(settings: Settings) -> bytes:
    """The key of cursors: the same for every gateway that callers may meet."""
    if settings.bus.is_shared:
        return hmac.digest(
            bus_key_of(settings), b"sluicegate.cursors.v1", hashlib.sha256
        )

    path = settings.data_dir / "cursor.key"
    if not path.exists():
        keep(path, secrets.token_urlsafe(32))

    return path.read_bytes()


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[0] or url
