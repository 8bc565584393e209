"""Every route with the permission it needs: data, so that nothing is forgotten.

A mutating route needs only ``read`` here: its decision is judged by the gate with
the action's own permission.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from contracts.permissions import Permission
from gateways.http.call import Door, Handler
from gateways.http.handlers import (
    approvals,
    control,
    conversations,
    dead_letters,
    decisions,
    events,
    keys,
    runs,
    system,
)
from gateways.http.handlers.definitions import DefinitionRoutes

PublicHandler = Callable[[Door], Awaitable[web.Response]]
"""Answers without knowing who asks."""


class Route(NamedTuple):
    """A method and path below ``/api/v1``, who answers, and who may ask."""

    method: str
    path: str
    handler: Handler
    permission: Permission | None = "read"
    """None: whoever holds a good key; the gate judges the action."""


def _of_definitions(path: str, routes: DefinitionRoutes) -> tuple[Route, ...]:
    one = f"{path}/{{name}}"
    return (
        Route("GET", path, routes.listing),
        Route("POST", path, routes.create, None),
        Route("GET", one, routes.one),
        Route("PUT", one, routes.replace, None),
        Route("PATCH", one, routes.change, None),
        Route("DELETE", one, routes.delete, None),
        Route("GET", f"{one}/versions", routes.versions),
    )


def _of_runs(path: str) -> tuple[Route, ...]:
    one = f"{path}/{{id}}"
    return (
        Route("GET", path, runs.listing),
        Route("POST", path, runs.start, None),
        Route("GET", one, runs.one),
        Route("GET", f"{one}/output", runs.output),
        Route("GET", f"{one}/events", events.listing),
        Route("GET", f"{one}/events/{{event_id}}", events.one),
        Route("GET", f"{one}/trace", runs.trace),
        Route("POST", f"{one}/resume", control.resume, None),
        Route("POST", f"{one}/approve", control.approve, None),
        Route("POST", f"{one}/cancel", control.cancel, None),
        Route("POST", f"{one}/retry", control.retry, None),
        Route("POST", f"{one}/signal", control.signal, None),
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/version", system.version),
    Route("GET", "/limits", system.limits),
    Route("GET", "/system/limits", system.limits),
    Route("GET", "/system/worker", system.worker),
    Route("GET", "/system/bus", system.bus),
    Route("GET", "/decisions", decisions.listing),
    Route("POST", "/decisions", decisions.submit, None),
    Route("GET", "/decisions/{id}", decisions.one),
    Route("POST", "/decisions/{id}/explain", decisions.explain),
    Route("GET", "/approvals", approvals.listing),
    Route("GET", "/approvals/{id}", approvals.one),
    Route("POST", "/approvals/{id}/grant", approvals.grant, None),
    Route("POST", "/approvals/{id}/refuse", approvals.refuse, None),
    *_of_definitions("/tools", DefinitionRoutes("tool", "tool.save", "tool.delete")),
    *_of_definitions(
        "/workflows", DefinitionRoutes("workflow", "workflow.save", "workflow.delete")
    ),
    *_of_definitions(
        "/stages", DefinitionRoutes("stage", "stage.save", "stage.delete")
    ),
    *_of_definitions("/flows", DefinitionRoutes("flow", "flow.save", "flow.delete")),
    *_of_definitions(
        "/knowledge",
        DefinitionRoutes("knowledge", "knowledge.save", "knowledge.delete"),
    ),
    Route("GET", "/conversations", conversations.listing),
    Route("POST", "/conversations", conversations.create, None),
    Route("GET", "/conversations/{id}", conversations.one),
    Route("POST", "/conversations/{id}/messages", conversations.say, "conversation"),
    Route("GET", "/conversations/{id}/messages", conversations.messages),
    Route("GET", "/conversations/{id}/turns", conversations.turns),
    Route("GET", "/conversations/{id}/cached-state", conversations.cached_state),
    *_of_runs("/runs"),
    *_of_runs("/workflow-runs"),
    Route("GET", "/keys", keys.listing, "key.manage"),
    Route("POST", "/keys", keys.create, None),
    Route("DELETE", "/keys/{id}", keys.revoke, None),
    Route("GET", "/freeze", keys.frozen),
    Route("PUT", "/freeze", keys.freeze, None),
    Route("DELETE", "/freeze", keys.thaw, None),
    Route("GET", "/dead-letters", dead_letters.listing, "dead_letter.manage"),
    Route("GET", "/dead-letters/{id}", dead_letters.one, "dead_letter.manage"),
    Route("POST", "/dead-letters/{id}/retry", dead_letters.retry, None),
    Route("DELETE", "/dead-letters/{id}", dead_letters.drop, None),
    Route("GET", "/ledger", system.ledger),
)
"""Everything below ``/api/v1`` and, without a version, below ``/api``."""

PUBLIC: dict[str, PublicHandler] = {
    "/healthz": system.healthz,
    "/readyz": system.readyz,
    "/metrics": system.metrics,
    "/api/v1/healthz": system.healthz,
    "/api/healthz": system.healthz,
}
"""The routes that need no key."""
