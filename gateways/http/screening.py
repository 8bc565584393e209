"""What every request must be before anything is looked up for it."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from aiohttp import web

from contracts import LIMITS, PermanentError, Principal

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")

_SPOKEN = frozenset(
    {
        "*/*",
        "application/*",
        "application/json",
        "application/problem+json",
        "text/event-stream",
    }
)
_MEASURES = frozenset({"text/*", "text/plain", "application/openmetrics-text"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _READING | {"POST", "PUT", "PATCH", "DELETE"}


def screen(request: web.Request, hosts: frozenset[str]) -> None:
    """Raise PermanentError for a request that no route would answer.

    Its code is ``uri_too_long``, ``invalid_path``, ``unknown_host``,
    ``not_acceptable`` or ``cross_site_request``; a method that no route takes is
    HTTPMethodNotAllowed.
    """
    if request.method == "CONNECT":
        raise web.HTTPMethodNotAllowed(request.method, _METHODS)

    _refuse_long(request)
    _refuse_odd_path(request)
    _refuse_unknown_host(request, hosts)
    _refuse_unspoken(request)
    if request.method not in _READING:
        _refuse_other_sites(request)


async def expect(request: web.Request) -> None:
    """Ask for the body of a client that waits to be asked, if it may be sent."""
    wanted = request.headers.get("Expect", "").lower() == "100-continue"
    if wanted and (request.content_length or 0) <= LIMITS["body_bytes"]:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # what counts as the answer begins after this
        request.writer.output_size = 0


def refuse_other_tenant(request: web.Request, principal: Principal) -> None:
    """Raise ``forbidden`` if the request names a tenant that is not the key's."""
    named = request.headers.getall("X-Tenant-Id", [])
    if any(name != principal.tenant for name in named):
        raise PermanentError(
            "X-Tenant-Id names another tenant than that of the key.", code="forbidden"
        )


def _refuse_long(request: web.Request) -> None:
    most = LIMITS["url_bytes"]
    if len(request.raw_path) > most:
        raise PermanentError(
            f"The URL is longer than {most} bytes.",
            code="uri_too_long",
            details={"limit": most},
        )


def _refuse_odd_path(request: web.Request) -> None:
    path = request.raw_path.partition("?")[0]
    if path.isascii() and "%" not in path and "\\" not in path:
        return

    raw = path.encode("utf-8", "surrogateescape")
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PermanentError(code="invalid_path") from error

    if _ODD.search(text) or _BROKEN_ESCAPE.search(path):
        raise PermanentError(code="invalid_path")


def _refuse_unknown_host(request: web.Request, hosts: frozenset[str]) -> None:
    given = request.headers.getall("Host", [])
    match = _HOST.fullmatch(given[0]) if len(given) == 1 else None
    name = (match[1] or match[2]).lower() if match else ""
    is_path = request.raw_path.startswith(("/", "*"))
    if not is_path or (name not in hosts and "*" not in hosts) or not name:
        raise PermanentError(code="unknown_host")


def _refuse_unspoken(request: web.Request) -> None:
    given = ",".join(request.headers.getall("Accept", []))
    if not given or given == "*/*":
        return

    spoken = _SPOKEN | _MEASURES if request.path == "/metrics" else _SPOKEN
    if not any(_is_one_of(spoken, wanted) for wanted in given.split(",")):
        raise PermanentError(
            "This API answers in application/json and text/event-stream.",
            code="not_acceptable",
        )


def _is_one_of(spoken: frozenset[str], wanted: str) -> bool:
    """Whether a media range of ``Accept`` takes one of these types."""
    kind, *parameters = (part.strip().lower() for part in wanted.split(";"))
    refused = any(re.fullmatch(r"q=0(\.0*)?", part) for part in parameters)
    return kind in spoken and not refused


def _refuse_other_sites(request: web.Request) -> None:
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise PermanentError(code="cross_site_request")
