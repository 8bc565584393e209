"""Reading a request's body: bounded in bytes and time, strict in form."""

from __future__ import annotations

from typing import TypeVar

import anyio
from aiohttp import web

from contracts import LIMITS, InvalidInput, JsonObject, Message, PermanentError, read
from contracts.json_text import read_json

M = TypeVar("M", bound=Message)

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})


async def read_body(request: web.Request, model: type[M]) -> M:
    """The model in a JSON body; an empty body is an empty object.

    Raises SluicegateError naming every problem.
    """
    _refuse_other_than(request, frozenset({"application/json"}))
    data = await read_bytes(request)
    given = read_json(data or b"{}", max_bytes=LIMITS["body_bytes"])
    return read(model, _object(given) if data else {})


async def read_object(request: web.Request) -> JsonObject:
    """The object in a JSON or YAML body."""
    _refuse_other_than(request, _YAML | {"application/json"})
    data = await read_bytes(request)
    if request.content_type in _YAML:
        # ruamel.yaml is slow to import and most callers send JSON
        from plans import read_yaml

        return _object(read_yaml(data, max_bytes=LIMITS["body_bytes"]))

    return _object(read_json(data, max_bytes=LIMITS["body_bytes"]))


async def read_bytes(request: web.Request) -> bytes:
    """The body's bytes. Raises ``body_too_large``, ``body_incomplete``."""
    most = LIMITS["body_bytes"]
    if (request.content_length or 0) > most:
        raise _too_large(most)

    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(LIMITS["body_seconds"]) as scope:
        async for part in request.content.iter_chunked(65_536):
            parts.append(part)
            size += len(part)
            if size > most:
                raise _too_large(most)

    if scope.cancelled_caught:
        raise PermanentError(code="body_incomplete")

    return b"".join(parts)


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise InvalidInput("An object is due here.", code="type_error")

    return value


def _refuse_other_than(request: web.Request, known: frozenset[str]) -> None:
    if request.body_exists and request.content_type not in known:
        raise PermanentError(
            f"This route takes {', '.join(sorted(known))}.",
            code="unsupported_media_type",
        )


def _too_large(most: int) -> PermanentError:
    return PermanentError(
        f"The body is larger than {most} bytes.",
        code="body_too_large",
        details={"limit": most},
    )
