"""Errors as ``application/problem+json``: one shape, everywhere."""

from __future__ import annotations

import json
import math
from typing import Any

from aiohttp import web

from contracts import CODES, Fault, JsonObject, SluicegateError, TemporaryError

_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Refused",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Too slow",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    414: "URL too long",
    415: "Unsupported media type",
    421: "Unknown host",
    422: "Not valid",
    429: "Too many",
    431: "Header too large",
    503: "Not available",
}
_CUTTING = frozenset({"body_too_large", "body_incomplete", "bad_framing"})
"""After these the rest of the body is not worth reading."""


def problem(
    code: str, message: str, details: JsonObject, request_id: str
) -> JsonObject:
    """The problem object of an error; also the data of an SSE ``error``."""
    status = CODES[code].status if code in CODES else 500
    problems = details.get("problems", [])
    told: JsonObject = {
        "type": f"about:blank#{code}",
        "title": _TITLES.get(status, "Failed"),
        "status": status,
        "code": code,
        "detail": message,
        "message": message,
        "details": {k: v for k, v in details.items() if k != "problems"},
        "errors": problems,
        "request_id": request_id,
    }
    if problems:
        told["pointer"] = problems[0].get("pointer", "")

    if details.get("rules"):
        told["rule"] = details["rules"][0]

    return told


def problem_response(
    error: SluicegateError | Fault, request_id: str, headers: dict[str, str]
) -> web.Response:
    """The response of an error or of a recorded fault."""
    body = problem(error.code, error.message, error.details, request_id)
    response = json_response(
        body, body["status"], headers, content_type="application/problem+json"
    )
    if body["status"] in (429, 503) or error.code == "request_in_progress":
        response.headers["Retry-After"] = _retry_after(error)

    if body["status"] == 401:
        response.headers["WWW-Authenticate"] = "Bearer"

    if error.code in _CUTTING:
        response.force_close()

    return response


def _retry_after(error: SluicegateError | Fault) -> str:
    """Whole seconds after which another try makes sense."""
    told = error.details.get("retry_after_s")
    delay = error.delay if isinstance(error, TemporaryError) else told
    return str(max(1, math.ceil(delay or 1)))


def json_response(
    body: Any,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    content_type: str = "application/json",
) -> web.Response:
    """A response of plain JSON."""
    return web.Response(
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        status=status,
        headers=headers,
        content_type=content_type,
        charset="utf-8",
    )
