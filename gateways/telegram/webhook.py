"""The webhook: the secret first, then the update is kept, then 200."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from contracts import PermanentError, TemporaryError
from gateways.telegram.office import Office
from gateways.telegram.reception import keep
from gateways.telegram.settings import DOOR
from gateways.telegram.updates import BadUpdate

PATH = "/telegram/webhook"
_SECRET = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 the name of a header
_MOST_BYTES = 1024 * 1024

Webhook = Callable[[web.Request], Awaitable[web.Response]]


def webhook(office: Office | None) -> Webhook:
    """The handler of ``POST /telegram/webhook``; None: no bot is configured."""
    log = structlog.get_logger(DOOR).bind()

    async def handle(request: web.Request) -> web.Response:
        if office is None or not office.settings.secret:
            raise TemporaryError(code="webhook_not_configured")

        shown = request.headers.get(_SECRET, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(shown, office.settings.secret.encode()):
            raise PermanentError(code="invalid_credentials")

        try:
            is_new = await keep(office, await _body(request))
        except BadUpdate:
            log.warning("telegram.ignored", reason="bad_update")
            return web.json_response({"ignored": "bad_update"})

        if not is_new:
            log.info("telegram.ignored", reason="known")

        return web.json_response({})

    return handle


async def _body(request: web.Request) -> object:
    """The update. Raises BadUpdate for what is no JSON or far too long."""
    data = await request.content.read(_MOST_BYTES + 1)
    while len(data) <= _MOST_BYTES and not request.content.at_eof():
        data += await request.content.read(_MOST_BYTES + 1 - len(data))

    try:
        return json.loads(data) if len(data) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        raise BadUpdate from None
