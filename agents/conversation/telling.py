"""What is told from the store: lists for people, and what a model may call."""

from __future__ import annotations

from collections.abc import Sequence

from agents.conversation.commands import HELP, Command
from agents.conversation.functions import Offer, functions
from contracts import FunctionTool, JsonObject
from contracts.definitions import DefinitionKind, Head
from store import Store

_MOST = 20
"""Lines of a list, and definitions that a model is offered of a kind."""


class Telling:
    """Reads what one tenant has."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._store = store
        self._tenant = tenant

    async def of(self, command: Command | None) -> str:
        """The answer to a command that needs no decision but the turn."""
        if command is None or command.problem:
            return command.problem if command else HELP

        match command.name:
            case "workflows":
                return await self._workflows()
            case "pending":
                return await self._pending()
            case "status":
                return await self._status(command.run_id)

        return HELP

    async def functions(self) -> tuple[FunctionTool, ...]:
        """The functions that a model is offered now."""
        return functions(
            [_workflow(head) for head in await self._heads("workflow")],
            [_tool(head) for head in await self._heads("tool")],
        )

    async def _heads(self, kind: DefinitionKind) -> Sequence[Head]:
        page = await self._store.definitions.page(self._tenant, kind, limit=_MOST)
        return page.items

    async def _workflows(self) -> str:
        heads = await self._heads("workflow")
        lines = [_line(head.name, head.body.get("description", "")) for head in heads]
        return "\n".join(lines) or "There is no workflow yet."

    async def _pending(self) -> str:
        page = await self._store.approvals.page(
            self._tenant, state="waiting", limit=_MOST
        )
        lines = [
            f"{one.id}: {one.action}, until {one.expires_at}" for one in page.items
        ]
        return "\n".join(lines) or "Nothing waits for a person."

    async def _status(self, run_id: str) -> str:
        run = await self._store.runs.get(self._tenant, run_id)
        if run is None:
            return f"There is no run {run_id}."

        state = run.state
        why = f" ({state.paused_reason})" if state.paused_reason else ""
        error = f" {state.error.message}" if state.error else ""
        return f"{run.workflow} {run_id}: {state.status}{why}.{error}"


def _line(name: str, description: str) -> str:
    return f"{name} – {description}" if description else name


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
