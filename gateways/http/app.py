"""The aiohttp application: routes, and what every request goes through."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler as WebHandler
from aiohttp.typedefs import Middleware

from contracts import CODES, PermanentError, SluicegateError, new_id
from gateways.http.auth import authenticate
from gateways.http.call import Asked, Call, Door
from gateways.http.connections import Connection
from gateways.http.headers import REQUEST_ID, dress, new_request_id
from gateways.http.problems import problem_response
from gateways.http.routes import PUBLIC, ROUTES, PublicHandler, Route
from gateways.http.screening import expect, refuse_other_tenant, screen

_Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ASKED = web.RequestKey("asked", Asked)

_BASES = ("/api/v1", "/api")
_CODES_OF_STATUS = {
    400: "bad_framing",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}


def make_app(door: Door) -> web.Application:
    """The application behind the door."""
    app = make_health_app(door)
    for base in _BASES:
        for route in ROUTES:
            _add(app, base, route, _guarded(door, route))

    for path, hook in door.hooks.items():
        app.router.add_post(path, hook)

    return app


def make_health_app(door: Door) -> web.Application:
    """The application of a process that only tells how it is."""
    app = web.Application(middlewares=[_around(door)])
    app.on_response_prepare.append(dress)
    for path, public in PUBLIC.items():
        app.router.add_get(path, _public(door, public))

    return app


def _add(app: web.Application, base: str, route: Route, handle: _Handle) -> None:
    path = base + route.path
    app.router.add_route(route.method, path, handle, expect_handler=expect)
    if route.method == "GET":
        app.router.add_route("HEAD", path, handle)


def _public(door: Door, handler: PublicHandler) -> _Handle:
    async def handle(_: web.Request) -> web.StreamResponse:
        return await handler(door)

    return handle


def _guarded(door: Door, route: Route) -> _Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked = request[_ASKED] = _asked(request, route)
        principal = await authenticate(request, door.store.keys, door.at())
        refuse_other_tenant(request, principal)
        if route.permission and route.permission not in principal.permissions:
            raise PermanentError(
                f"The key lacks the permission {route.permission}.", code="forbidden"
            )

        return await route.handler(Call(door, request, asked, principal))

    return handle


def _asked(request: web.Request, route: Route) -> Asked:
    """The ids of a request; the answer of one that changes something tells them."""
    decision_id, message_id = new_id("dec"), new_id("msg")
    ids = {"X-Decision-Id": decision_id, "X-Correlation-Id": message_id}
    return Asked(
        route=f"{route.method} {route.path}",
        request_id=request[REQUEST_ID],
        decision_id=decision_id,
        message_id=message_id,
        headers=ids if route.permission is None else {},
    )


def _around(door: Door) -> Middleware:
    log = structlog.get_logger("http").bind()

    @web.middleware
    async def around(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        began = time.perf_counter()
        request[REQUEST_ID] = new_request_id()
        if isinstance(request.protocol, Connection):
            request.protocol.begun()

        response = await _answer(door, request, handler)
        log.info(
            "http.request",
            request_id=request[REQUEST_ID],
            method=request.method,
            route=_route_of(request),
            status=response.status,
            ms=round((time.perf_counter() - began) * 1_000, 2),
            **_ids_of(response),
        )
        return response

    return around


async def _answer(
    door: Door, request: web.Request, handle: WebHandler
) -> web.StreamResponse:
    """The handler's answer, or the problem it raised; nothing else gets out."""
    try:
        screen(request, door.hosts)
        return await handle(request)
    except SluicegateError as error:
        return problem_response(error, request[REQUEST_ID], _headers_of(request))
    except web.HTTPException as error:
        return _problem_of(error, request)
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001  whatever it is, the caller learns only its id
        return _failure(request)


def _failure(request: web.Request) -> web.Response:
    """The answer to what nobody thought of; the log has the rest."""
    structlog.get_logger("http").exception(
        "alarm", alarm="http_failed", request_id=request[REQUEST_ID]
    )
    if request.writer.output_size > 0:
        raise ConnectionResetError("The answer had begun.")

    headers = _headers_of(request)
    return problem_response(SluicegateError(), request[REQUEST_ID], headers)


def _problem_of(error: web.HTTPException, request: web.Request) -> web.Response:
    headers = _headers_of(request)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted({*error.allowed_methods, "OPTIONS"})
        headers = {**headers, "Allow": ", ".join(allowed)}
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=headers)

    code = _CODES_OF_STATUS.get(error.status, "internal")
    told = PermanentError(CODES[code].sentence, code=code)
    return problem_response(told, request[REQUEST_ID], headers)


def _headers_of(request: web.Request) -> dict[str, str]:
    asked = request.get(_ASKED)
    return asked.headers if asked is not None else {}


def _ids_of(response: web.StreamResponse) -> dict[str, str]:
    """The ids that the answer tells, for the line of the log."""
    names = {"decision_id": "X-Decision-Id", "correlation_id": "X-Correlation-Id"}
    return {
        name: response.headers[header]
        for name, header in names.items()
        if header in response.headers
    }


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "-"
