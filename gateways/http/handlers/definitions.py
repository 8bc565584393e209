"""``/tools`` and ``/workflows``: save, read, list, delete, versions."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from contracts import Action, InvalidInput, JsonObject, NotFound
from contracts.definitions import DefinitionKind, Head
from gateways.http.answering import naming
from gateways.http.bodies import read_object
from gateways.http.call import Call
from gateways.http.deciding import WAITS, decide
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed
from gateways.http.queries import a_name, integer, only
from gateways.http.views import head_view
from store import Page

_HIGHEST_VERSION = 2**31


@dataclass(frozen=True, slots=True)
class DefinitionRoutes:
    """The handlers of one kind of definition, and the actions they propose."""

    kind: DefinitionKind
    saving: Action
    deleting: Action

    async def create(self, call: Call) -> web.Response:
        """``POST``: version 1 of a new name; 201."""
        only(call.request, WAITS)
        definition = await read_object(call.request)
        args = {"definition": definition, "version": None}
        return await decide(call, Proposed(self.saving, args), naming(201))

    async def replace(self, call: Call) -> web.Response:
        """``PUT /{name}``: the next version; ``?version=`` is the one it replaces."""
        only(call.request, (*WAITS, "version"))
        definition = await read_object(call.request)
        head = await self._head(call)
        if definition.setdefault("name", head.name) != head.name:
            raise InvalidInput(
                f"The body names another {self.kind} than the path does."
            )

        return await self._save_next(call, definition, head)

    async def change(self, call: Call) -> web.Response:
        """``PATCH /{name}``: the given fields replace those of the head."""
        only(call.request, (*WAITS, "version"))
        given = await read_object(call.request)
        head = await self._head(call)
        merged = {**head.body, **given, "name": head.name}
        return await self._save_next(call, merged, head)

    async def one(self, call: Call) -> web.Response:
        """``GET /{name}``, the head or ``?version=``."""
        only(call.request, ("version",))
        head = await self._head(call)
        number = _version(call, head.version)
        if number != head.version:
            head = await self._version(call, head.name, number)

        return json_response(head_view(head), headers=call.headers)

    async def listing(self, call: Call) -> web.Response:
        """``GET``, by name."""

        async def fetch(limit: int, after: str | None) -> Page[Head]:
            return await call.door.store.definitions.page(
                call.tenant, self.kind, limit=limit, after=after
            )

        return await page_response(call, fetch, head_view)

    async def versions(self, call: Call) -> web.Response:
        """``GET /{name}/versions``, newest first."""
        head = await self._head(call)

        async def fetch(limit: int, after: str | None) -> Page[Head]:
            return await call.door.store.definitions.versions(
                call.tenant, self.kind, head.name, limit=limit, after=after
            )

        return await page_response(call, fetch, head_view)

    async def delete(self, call: Call) -> web.Response:
        """``DELETE /{name}``: the head goes, if it is still ``?version=``."""
        only(call.request, (*WAITS, "version"))
        args: JsonObject = {"name": a_name(call.path("name"))}
        if "version" in call.request.query:
            args["version"] = _version(call, 1)

        return await decide(call, Proposed(self.deleting, args), naming(200))

    async def _save_next(
        self, call: Call, definition: JsonObject, head: Head
    ) -> web.Response:
        args = {"definition": definition, "version": _version(call, head.version)}
        return await decide(call, Proposed(self.saving, args), naming(200))

    async def _head(self, call: Call) -> Head:
        name = a_name(call.path("name"))
        head = await call.door.store.definitions.head(call.tenant, self.kind, name)
        if head is None:
            raise NotFound(f"There is no {self.kind} {name!r}.")

        return head

    async def _version(self, call: Call, name: str, number: int) -> Head:
        head = await call.door.store.definitions.version(
            call.tenant, self.kind, name, number
        )
        if head is None:
            raise NotFound(f"There is no version {number} of {name!r}.")

        return head


def _version(call: Call, default: int) -> int:
    return integer(call.request, "version", default, 1, _HIGHEST_VERSION)
