"""The aiohttp application: routes, and what every request goes through."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from contracts import (
    CODES,
    LIMITS,
    PermanentError,
    SluicegateError,
    new_id,
)
from gateways.http.auth import authenticate
from gateways.http.call import Call, Door
from gateways.http.problems import problem_response
from gateways.http.routes import PUBLIC, ROUTES, PublicHandler, Route

_Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REQUEST_ID = web.RequestKey("request_id", str)
_CALL = web.RequestKey("call", Call)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "sluicegate",
}
_CODES_OF_STATUS = {
    400: "invalid",
    404: "route_not_found",
    405: "method_not_allowed",
    408: "body_incomplete",
    413: "body_too_large",
    414: "uri_too_long",
}


def make_app(door: Door) -> web.Application:
    """The application behind the door."""
    app = web.Application(
        middlewares=[_around(door)], client_max_size=LIMITS["body_bytes"] + 1
    )
    for path, public in PUBLIC.items():
        app.router.add_get(path, _public(door, public), allow_head=True)

    for route in ROUTES:
        handle = _guarded(door, route)
        for base in ("/api/v1", "/api"):
            app.router.add_route(route.method, base + route.path, handle)

    return app


def _public(door: Door, handler: PublicHandler) -> _Handle:
    async def handle(_: web.Request) -> web.StreamResponse:
        return await handler(door)

    return handle


def _guarded(door: Door, route: Route) -> _Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        principal = await authenticate(request, door.store.keys, door.at())
        if route.permission and route.permission not in principal.permissions:
            raise PermanentError(
                f"The key lacks the permission {route.permission}.", code="forbidden"
            )

        call = Call(door, request, request[_REQUEST_ID], principal)
        request[_CALL] = call
        return await route.handler(call)

    return handle


def _around(
    door: Door,
) -> Callable[[web.Request, _Handle], Awaitable[web.StreamResponse]]:
    log = structlog.get_logger("http").bind()

    @web.middleware
    async def around(request: web.Request, handler: _Handle) -> web.StreamResponse:
        began = time.perf_counter()
        request[_REQUEST_ID] = request_id = new_id("msg").replace("msg_", "req_")
        response = await _answer(door, request, handler)
        if not response.prepared:
            response.headers.update(_HEADERS)
            response.headers["X-Request-Id"] = request_id

        log.info(
            "http.request",
            request_id=request_id,
            method=request.method,
            route=_route_of(request),
            status=response.status,
            ms=round((time.perf_counter() - began) * 1_000, 2),
        )
        return response

    return around


async def _answer(
    door: Door, request: web.Request, handle: _Handle
) -> web.StreamResponse:
    """The handler's answer, or the problem it raised; nothing else gets out."""
    try:
        _refuse_odd(door, request)
        return await handle(request)
    except SluicegateError as error:
        return problem_response(error, request[_REQUEST_ID], _headers_of(request))
    except web.HTTPException as error:
        return _problem_of(error, request)
    except ConnectionError:
        raise
    except Exception:
        structlog.get_logger("http").exception(
            "alarm", alarm="http_failed", request_id=request[_REQUEST_ID]
        )
        failure = SluicegateError(code="internal")
        return problem_response(failure, request[_REQUEST_ID], _headers_of(request))


def _refuse_odd(door: Door, request: web.Request) -> None:
    if len(request.raw_path) > LIMITS["url_bytes"]:
        raise PermanentError(
            f"The URL is longer than {LIMITS['url_bytes']} bytes.", code="uri_too_long"
        )

    host = request.url.host or ""
    if "*" not in door.hosts and host not in door.hosts:
        raise PermanentError(code="unknown_host")

    accepted = request.headers.get("Accept", "*/*")
    if not any(kind in accepted for kind in ("*/*", "json", "event-stream", "text")):
        raise PermanentError(
            "This API speaks JSON and event streams.", code="not_acceptable"
        )


def _problem_of(error: web.HTTPException, request: web.Request) -> web.Response:
    code = _CODES_OF_STATUS.get(error.status, "internal")
    headers = _headers_of(request)
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers = {**headers, "Allow": ", ".join(sorted(error.allowed_methods))}

    told = PermanentError(CODES[code].sentence, code=code)
    return problem_response(told, request[_REQUEST_ID], headers)


def _headers_of(request: web.Request) -> dict[str, str]:
    call = request.get(_CALL)
    return call.headers if call is not None else {}


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "-"
