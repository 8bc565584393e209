"""The Bot API: one client, a handful of methods, and every way a call may end.

https://core.telegram.org/bots/api. The token is part of each address, so no address
and no exception of the HTTP client is ever told to anybody.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from contracts import JsonObject, SluicegateError

_MOST_BYTES = 8 * 1024 * 1024
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_CONNECTIONS = 100
"""Calls of one bot that may be under way; more wait for one that ends."""

_LONGEST_FLOOD_S = 86_400.0

Kind = Literal[
    "flood",
    "blocked",
    "migrated",
    "bad_entities",
    "not_modified",
    "unauthorized",
    "conflict",
    "rejected",
    "server",
    "unreachable",
    "lost",
]
"""
flood: too many calls, come back later · blocked: the chat wants no messages · migrated:
the chat has another id now · bad_entities: the formatting is not understood ·
not_modified: an edit that changes nothing · unauthorized: the token is not good ·
conflict: another asks for updates · rejected: any other call that would fail again ·
server: the API says that it failed · unreachable: nothing was sent · lost: it was
sent, and whether it was done is not known.
"""

_TOLD: tuple[tuple[str, Kind], ...] = (
    ("bot was blocked", "blocked"),
    ("user is deactivated", "blocked"),
    ("bot was kicked", "blocked"),
    ("bot is not a member", "blocked"),
    ("chat not found", "blocked"),
    ("can't initiate conversation", "blocked"),
    ("have no rights to send", "blocked"),
    ("not enough rights to send", "blocked"),
    ("chat was deleted", "blocked"),
    ("can't parse entities", "bad_entities"),
    ("entity", "bad_entities"),
    ("not modified", "not_modified"),
)
"""What a description says, whatever its code is."""

_OF_CODE: dict[int, Kind] = {
    401: "unauthorized",
    403: "blocked",
    404: "unauthorized",
    409: "conflict",
    429: "flood",
}


class BotApiError(SluicegateError):
    """A call that was not answered with a result."""

    def __init__(
        self,
        kind: Kind,
        told: str = "",
        *,
        retry_after_s: float | None = None,
        moved_to: int | None = None,
    ) -> None:
        super().__init__(f"Telegram: {told or kind}", code="dependency_unavailable")
        self.kind = kind
        self.retry_after_s = retry_after_s
        """When it may be called again; None if the API does not say."""

        self.moved_to = moved_to
        """The id that a chat has now."""


@dataclass(frozen=True, slots=True)
class BotApi:
    """Calls methods of one bot."""

    session: aiohttp.ClientSession
    root: str
    deadline_s: float

    @classmethod
    @asynccontextmanager
    async def open(
        cls, token: str, base_url: str, deadline_s: float
    ) -> AsyncIterator[BotApi]:
        """The client while the context lasts."""
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield cls(session, f"{base_url.rstrip('/')}/bot{token}", deadline_s)

    def __repr__(self) -> str:
        """Without the token."""
        return "BotApi()"

    async def call(self, method: str, *, longer_s: float = 0, **given: Any) -> Any:
        """The result of a method. Raises BotApiError.

        ``longer_s`` is how much longer than usual the answer may take.
        """
        timeout = aiohttp.ClientTimeout(
            connect=self.deadline_s, total=2 * self.deadline_s + longer_s
        )
        body = {name: value for name, value in given.items() if value is not None}
        try:
            async with self.session.post(
                f"{self.root}/{method}",
                json=body,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                text = await _limited(response)
                status = response.status
        except _NOT_SENT:
            raise BotApiError("unreachable") from None
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            raise BotApiError("lost") from None

        return result_of(status, text)


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > _MOST_BYTES:
            raise BotApiError("lost", "the answer is larger than 8 MiB")

    return bytes(data)


def result_of(status: int, text: bytes) -> Any:
    """What an answer brings; pure. Raises BotApiError.

    An answer that is no JSON of the Bot API comes from something in between, which
    may have passed the call on: whether it was done is not known.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None

    if not isinstance(told, dict) or not isinstance(told.get("ok"), bool):
        raise BotApiError("lost", f"status {status} without an answer of the API")

    if told["ok"]:
        return told.get("result")

    raise _error(status, told)


def message_id_of(message: Any) -> int:
    """The id of a message that was sent; 0 if the answer does not tell."""
    found = message.get("message_id") if isinstance(message, dict) else None
    return found if isinstance(found, int) else 0


def _error(status: int, told: JsonObject) -> BotApiError:
    given = told.get("error_code")
    code = given if isinstance(given, int) else status
    description = str(told.get("description") or "")[:300]
    found = told.get("parameters")
    parameters = found if isinstance(found, dict) else {}
    moved_to = parameters.get("migrate_to_chat_id")
    if isinstance(moved_to, int):
        return BotApiError("migrated", description, moved_to=moved_to)

    return BotApiError(
        _kind(code, description.lower()),
        description,
        retry_after_s=_seconds(parameters.get("retry_after")),
    )


def _kind(code: int, description: str) -> Kind:
    told = next((kind for words, kind in _TOLD if words in description), None)
    return told or _OF_CODE.get(code) or ("server" if code >= 500 else "rejected")


def _seconds(given: object) -> float | None:
    """A wait of more than nothing and at most a day; None for anything else."""
    try:
        seconds = float(str(given))
    except ValueError:
        return None

    return min(seconds, _LONGEST_FLOOD_S) if seconds > 0 else None
