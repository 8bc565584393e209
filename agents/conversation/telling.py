"""What people are told from the store: lists, and how a run is."""

from __future__ import annotations

from agents.conversation.commands import HELP, Command
from agents.conversation.wording import what
from contracts import Approval
from contracts.canonical import canonical
from store import Store

_MOST = 20
"""Lines of a list."""

_SHOWN = 200
"""Characters of the arguments that are asked about."""


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

    async def _workflows(self) -> str:
        definitions = self._store.definitions
        page = await definitions.page(self._tenant, "workflow", limit=_MOST)
        lines = [
            _line(head.name, head.body.get("description", "")) for head in page.items
        ]
        return "\n".join(lines) or "There is no workflow yet."

    async def _pending(self) -> str:
        page = await self._store.approvals.page(
            self._tenant, state="waiting", limit=_MOST
        )
        lines = [
            f"{one.id}: {_asked(one)}, until {one.expires_at}" for one in page.items
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


def _asked(approval: Approval) -> str:
    """What will happen if people agree, as short as a line."""
    text = canonical(approval.args.get("input", approval.args)).decode()
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"{what(approval)} {short}"


def _line(name: str, description: str) -> str:
    return f"{name} – {description}" if description else name
