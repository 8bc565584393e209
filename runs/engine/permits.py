"""Whether a call may be made now: verdict, freeze, permission, budget. In that order.

Asked right before every effect; what cannot be found out is no.
"""

from __future__ import annotations

from contextlib import suppress

from contracts import (
    Budget,
    Fault,
    PermanentError,
    Reservation,
    RunRow,
    StoreUnavailable,
    Timestamp,
    VerdictRefused,
    later,
    moment,
)
from contracts.reserving import Spender, Wanted, reservations
from plans.plan import PlanNode
from runs.engine.ports import Ports, Terms
from runs.engine.proposals import own_decision
from runs.engine.walk import Hold, Walk

_WINDOW_S = {"minute": 60, "hour": 3_600, "day": 86_400}


class Permits:
    """Asks everybody who may say no to a call of one run."""

    def __init__(self, ports: Ports, terms: Terms) -> None:
        self._authority = ports.authority
        self._budgets = ports.store.budgets
        self._terms = terms
        self._reserved: dict[str, tuple[Reservation, ...]] = {}

    async def refusal(self, walk: Walk, node: PlanNode) -> Hold | Fault | None:
        """What keeps the node from its call; None permits it. Raises TemporaryError."""
        try:
            await self._admit(walk, node)
            await self._authority.still_allowed(walk.row, tool_of(node))
            await self._reserve(walk, node)
        except PermanentError as error:
            return _held(error, self._terms.budgets(), walk.log.at) or Fault.of(error)

        return None

    async def settle(self, node_id: str) -> None:
        """The call that was reserved has ended; unsettled it counts as much."""
        for reservation in self._reserved.pop(node_id, ()):
            with suppress(StoreUnavailable):
                await self._budgets.settle(reservation.tenant, reservation.id, 1.0)

    async def _admit(self, walk: Walk, node: PlanNode) -> None:
        if not walk.needs_decision(node):
            return

        verdict = walk.verdicts.get(node.id)
        if verdict is None:
            raise VerdictRefused("The call has no verdict of its own.")

        record = await self._authority.admit(walk.row, verdict)
        known = walk.progress.node(node.id)
        ours = own_decision(walk.row, node, known, not_after=walk.log.at)
        if (record.decision.action, record.decision.args) != (ours.action, ours.args):
            raise VerdictRefused("The verdict is on other arguments.")

    async def _reserve(self, walk: Walk, node: PlanNode) -> None:
        if node.type != "tool":
            return

        row, attempt = walk.row, walk.progress.node(node.id).attempt
        call = Wanted("calls", 1.0, f"{row.id}:{node.id}:{attempt}", walk.log.at)
        wanted = reservations(self._terms.budgets(), call, _spender(row))
        if wanted:
            await self._budgets.reserve(wanted)
            self._reserved[node.id] = wanted


def tool_of(node: PlanNode) -> str:
    """The name of the tool a node calls; empty if it calls none."""
    return "" if node.tool is None else node.tool.name


def _spender(row: RunRow) -> Spender:
    chat = row.origin.id if row.origin.kind == "conversation" else None
    return Spender(row.tenant, row.principal.subject, chat, row.id)


def _held(
    error: PermanentError, budgets: tuple[Budget, ...], at: Timestamp
) -> Hold | None:
    """What a node waits for that may not call now, but may later."""
    if error.code == "frozen":
        return Hold("frozen")

    if error.code == "budget_exceeded":
        return Hold("budget", _next_window(budgets, at))

    return None


def _next_window(budgets: tuple[Budget, ...], at: Timestamp) -> Timestamp | None:
    """When the first of the windows that count calls is over; None: never."""
    lengths = [
        _WINDOW_S[budget.window]
        for budget in budgets
        if budget.meter == "calls" and budget.window in _WINDOW_S
    ]
    if not lengths:
        return None

    seconds = int(moment(at).timestamp())
    length = min(lengths)
    return later(at[:19] + ".000Z", length - seconds % length)
