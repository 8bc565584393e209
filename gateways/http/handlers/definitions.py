"""``/tools`` and ``/workflows``: save, read, list, delete, versions, validate."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from contracts import InvalidInput, JsonObject, NotFound
from contracts.definitions import DefinitionKind, Head
from gateways.http.answering import respond
from gateways.http.bodies import read_object
from gateways.http.call import Call
from gateways.http.idempotency import propose_once
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Answer, Proposed
from gateways.http.queries import a_name, integer, only
from gateways.http.views import head_view

_HIGHEST_VERSION = 2**31


@dataclass(frozen=True, slots=True)
class DefinitionRoutes:
    """The handlers of one kind of definition."""

    kind: DefinitionKind

    async def create(self, call: Call) -> web.Response:
        """``POST``: version 1 of a new name; 201."""
        only(call.request, ())
        definition = await read_object(call.request)
        return await self._save(call, definition, None, 201)

    async def replace(self, call: Call) -> web.Response:
        """``PUT /{name}``: the next version, from ``?version=`` or the body's."""
        only(call.request, ("version",))
        definition = await read_object(call.request)
        named = a_name(call.path("name"))
        head = await self._head(call, named)
        if definition.setdefault("name", head.name) != head.name:
            raise InvalidInput("The name in the body is another one.", code="invalid")

        return await self._save(call, definition, _version(call, head), 200)

    async def change(self, call: Call) -> web.Response:
        """``PATCH /{name}``: the given fields replace those of the head."""
        only(call.request, ("version",))
        given = await read_object(call.request)
        head = await self._head(call, a_name(call.path("name")))
        merged = {**head.body, **given, "name": head.name}
        return await self._save(call, merged, _version(call, head), 200)

    async def one(self, call: Call) -> web.Response:
        """``GET /{name}``, the head or ``?version=``."""
        only(call.request, ("version",))
        head = await self._head(call, a_name(call.path("name")))
        if "version" in call.request.query:
            number = integer(call.request, "version", 1, 1, _HIGHEST_VERSION)
            head = await self._version(call, head.name, number)

        return json_response(head_view(head), headers=call.headers)

    async def listing(self, call: Call) -> web.Response:
        """``GET``, by name."""

        async def fetch(limit: int, after: str | None):  # type: ignore[no-untyped-def]
            return await call.door.store.definitions.page(
                call.tenant, self.kind, limit=limit, after=after
            )

        return await page_response(call, fetch, head_view)

    async def versions(self, call: Call) -> web.Response:
        """``GET /{name}/versions``, newest first."""
        head = await self._head(call, a_name(call.path("name")))

        async def fetch(limit: int, after: str | None):  # type: ignore[no-untyped-def]
            return await call.door.store.definitions.versions(
                call.tenant, self.kind, head.name, limit=limit, after=after
            )

        return await page_response(call, fetch, head_view)

    async def delete(self, call: Call) -> web.Response:
        """``DELETE /{name}``: the head goes."""
        only(call.request, ("version",))
        args: JsonObject = {"name": a_name(call.path("name"))}
        if "version" in call.request.query:
            args["version"] = integer(call.request, "version", 1, 1, _HIGHEST_VERSION)

        action = Proposed(f"{self.kind}.delete", args)  # type: ignore[arg-type]
        answer, _ = await propose_once(call, action)
        return respond(call, answer, lambda result: (200, _told(answer, result)))

    async def _save(
        self, call: Call, definition: JsonObject, version: int | None, status: int
    ) -> web.Response:
        args: JsonObject = {"definition": definition, "version": version}
        action = Proposed(f"{self.kind}.save", args)  # type: ignore[arg-type]
        answer, _ = await propose_once(call, action)
        return respond(call, answer, lambda result: (status, _told(answer, result)))

    async def _head(self, call: Call, name: str) -> Head:
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


def _version(call: Call, head: Head) -> int:
    return integer(call.request, "version", head.version, 1, _HIGHEST_VERSION)


def _told(answer: Answer, result: JsonObject) -> JsonObject:
    return {**result, "decision_id": answer.decision_id}
