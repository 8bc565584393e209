"""What models may call in a tenant, looked up once a second for all conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agents.conversation.functions import Offer, Offered, functions
from contracts import Clock, FunctionTool, JsonObject
from contracts.definitions import DefinitionKind, Head
from store import Definitions

_MOST = 20
"""Definitions that a model is offered of a kind."""

_KEPT_S = 1.0


class Offers:
    """The functions by tenant; what was saved a moment ago is offered in a second."""

    def __init__(self, definitions: Definitions, clock: Clock) -> None:
        self._definitions = definitions
        self._clock = clock
        self._kept: dict[str, tuple[float, tuple[FunctionTool, ...]]] = {}
        self._looks: dict[str, asyncio.Task[tuple[FunctionTool, ...]]] = {}
        """What is being looked up now: whoever asks meanwhile takes what is found."""

    async def of(self, tenant: str) -> tuple[FunctionTool, ...]:
        """The functions that a model is offered now. Raises StoreUnavailable."""
        now = self._clock.monotonic()
        until, kept = self._kept.get(tenant, (now, ()))
        if until > now:
            return kept

        look = self._looks.get(tenant)
        if look is None:
            look = asyncio.create_task(self._look(tenant), name=f"offers of {tenant}")
            self._looks[tenant] = look
            look.add_done_callback(lambda _: self._looks.pop(tenant))

        return await asyncio.shield(look)

    async def _look(self, tenant: str) -> tuple[FunctionTool, ...]:
        until = self._clock.monotonic() + _KEPT_S
        found = functions(
            await self._offered(tenant, "workflow", _workflow),
            await self._offered(tenant, "tool", _tool),
        )
        self._kept[tenant] = (until, found)
        return found

    async def _offered(
        self, tenant: str, kind: DefinitionKind, offer: Callable[[Head], Offer]
    ) -> Offered:
        page = await self._definitions.page(tenant, kind, limit=_MOST)
        return Offered([offer(head) for head in page.items], page.next is None)


def _workflow(head: Head) -> Offer:
    nodes = head.body.get("nodes", [])
    for node in nodes:
        if node.get("type") == "workflow_start" and node.get("input_schema"):
            return _offer(head, node["input_schema"])

    return _offer(head, {"type": "object"})


def _tool(head: Head) -> Offer:
    return _offer(head, head.body.get("input_schema") or {"type": "object"})


def _offer(head: Head, schema: JsonObject) -> Offer:
    return Offer(
        name=head.name,
        description=head.body.get("description", ""),
        input_schema=schema,
    )
