"""The HTTP door: JSON and event streams in and out, decisions to the bus."""

from __future__ import annotations

from gateways.http.call import Door
from gateways.http.cursors import Cursors
from gateways.http.routes import PUBLIC, ROUTES, Route
from gateways.http.serving import serve_health, serve_http

__all__ = ["PUBLIC", "ROUTES", "Cursors", "Door", "Route", "serve_health", "serve_http"]
