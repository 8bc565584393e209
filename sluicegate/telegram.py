"""The Telegram door that the configuration describes."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from pydantic import SecretStr

from contracts import ConfigurationError, Finding
from contracts.permissions import Role
from gateways.telegram import PATH, BotApi, BotApiError, TelegramSettings
from sluicegate.config import Settings

_ROLES: tuple[str, ...] = get_args(Role)
_DEADLINE_S = 5.0


def telegram_of(settings: Settings, tenant: str) -> TelegramSettings | None:
    """How the door is set; None while it is off. Raises ConfigurationError."""
    given = settings.telegram
    if given.mode == "off":
        return None

    token = _secret("token", given.token, given.token_file)
    if not token:
        raise ConfigurationError(
            "telegram.token: there is none; set SLUICEGATE_TELEGRAM__TOKEN to what "
            "BotFather told you, or telegram.mode to off"
        )

    secret = _secret("secret", given.secret, given.secret_file)
    if given.mode == "webhook" and not secret:
        raise ConfigurationError(
            "telegram.secret: the webhook has none, and would refuse everybody; set "
            "SLUICEGATE_TELEGRAM__SECRET to 1 to 256 letters, digits, _ or -"
        )

    public = settings.server.public_url.rstrip("/")
    return TelegramSettings(
        tenant=tenant,
        token=token,
        secret=secret,
        base_url=given.base_url,
        mode=given.mode,
        webhook_url=f"{public}{PATH}" if public and given.mode == "webhook" else "",
        allow=dict(map(_allowed, given.allow)),
        hear_edits=given.hear_edits,
    )


async def examine_telegram(settings: Settings) -> Finding:
    """Whether the bot's token is good, for doctor. Raises ConfigurationError."""
    door = telegram_of(settings, "")
    if door is None:
        return Finding("telegram", "note", "off: set telegram.mode")

    try:
        async with BotApi.open(door.token, door.base_url, _DEADLINE_S) as api:
            me = await api.call("getMe")
    except BotApiError as error:
        return Finding("telegram", "bad", error.message)

    name = me.get("username") if isinstance(me, dict) else None
    return Finding("telegram", "ok", f"@{name or 'unnamed'}, {door.mode}")


def _allowed(entry: str) -> tuple[int, tuple[Role, ...]]:
    """An account and its roles, from ``ID`` or ``ID:role,role``."""
    id_, _, given = entry.partition(":")
    roles = tuple(name.strip() for name in (given or "operator").split(","))
    if not id_.strip().isdecimal() or not {*roles} <= {*_ROLES}:
        raise ConfigurationError(
            f"telegram.allow: {entry!r} is not a numeric account id, or "
            f"ID:role,role of {', '.join(_ROLES)}"
        )

    return int(id_), cast(tuple[Role, ...], roles)


def _secret(name: str, given: SecretStr | None, file: str) -> str:
    if given is not None:
        return given.get_secret_value().strip()

    try:
        return Path(file).read_text(encoding="utf-8").strip() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"telegram.{name}_file: {error}") from error
