"""Reading a request's body: bounded in bytes and time, strict in form."""

from __future__ import annotations

from typing import TypeVar

import anyio
import anyio.to_thread
from aiohttp import web

from contracts import (
    LIMITS,
    InvalidInput,
    JsonObject,
    Message,
    PermanentError,
    Problem,
    invalid,
    read,
    read_json,
)
from plans import read_yaml

M = TypeVar("M", bound=Message)

_JSON = frozenset({"application/json"})
_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_CHUNK = 65_536


async def read_body(
    request: web.Request, model: type[M], *, may_be_empty: bool = False
) -> M:
    """The model in a JSON body; an empty one, if it may be empty, is ``{}``.

    Raises SluicegateError naming every problem.
    """
    _refuse_other_than(_JSON, request)
    data = await _read_bytes(request)
    if not data and not may_be_empty:
        raise _empty()

    return read(model, data or b"{}")


async def read_object(request: web.Request) -> JsonObject:
    """The object in a JSON or YAML body. Raises SluicegateError."""
    _refuse_other_than(_JSON | _YAML, request)
    data = await _read_bytes(request)
    if not data:
        raise _empty()

    if request.content_type in _YAML:
        return await anyio.to_thread.run_sync(read_yaml, data)

    value = read_json(data)
    if not isinstance(value, dict):
        raise _problem("type_error", "An object is due here.")

    return value


async def _read_bytes(request: web.Request) -> bytes:
    """The body's bytes. Raises ``body_too_large``, ``body_incomplete``."""
    most = LIMITS["body_bytes"]
    if (request.content_length or 0) > most:
        raise _too_large(most)

    try:
        with anyio.fail_after(LIMITS["body_seconds"]):
            return await _collect(request, most)
    except TimeoutError as error:
        seconds = LIMITS["body_seconds"]
        raise PermanentError(
            f"The body did not arrive within {seconds} seconds.",
            code="body_incomplete",
            details={"limit": seconds},
        ) from error
    except web.RequestPayloadError as error:
        raise PermanentError(code="bad_framing") from error


async def _collect(request: web.Request, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_chunked(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > most:
            raise _too_large(most)

    return b"".join(parts)


def _refuse_other_than(known: frozenset[str], request: web.Request) -> None:
    if request.body_exists and request.content_type not in known:
        raise PermanentError(
            f"This route takes a body of type {', '.join(sorted(known))}.",
            code="unsupported_media_type",
        )


def _empty() -> InvalidInput:
    return _problem("json_invalid", "The body is empty; an object is due.")


def _problem(code: str, sentence: str) -> InvalidInput:
    return invalid([Problem(pointer="/", code=code, message=sentence)])


def _too_large(most: int) -> PermanentError:
    return PermanentError(
        f"The body is larger than {most} bytes.",
        code="body_too_large",
        details={"limit": most},
    )
