"""Errors as ``application/problem+json``: one shape, everywhere."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from contracts import CODES, Fault, JsonObject, SluicegateError

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
    503: "Not available",
}
_RETRY_AFTER = "1"


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
    if body["status"] in (429, 503) or error.code == "request_in_progress":
        headers = {"Retry-After": _RETRY_AFTER, **headers}

    if body["status"] == 401:
        headers = {"WWW-Authenticate": "Bearer", **headers}

    return json_response(
        body, body["status"], headers, content_type="application/problem+json"
    )


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
