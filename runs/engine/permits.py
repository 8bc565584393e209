"""Whether a call may be made now: verdict, freeze, permission, budget. In that order.

Asked right before every effect; what cannot be found out is no.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from runs.steps.asking import called, request_of

_WINDOW_S = {"minute": 60, "hour": 3_600, "day": 86_400}


class Permits:
    """Asks everybody who may say no to a call of one run."""

    def __init__(self, ports: Ports, terms: Terms) -> None:
        self._authority = ports.authority
        self._budgets = ports.store.budgets
        self._terms = terms
        self._model = ports.model
        self._reserved: dict[str, tuple[Reservation, ...]] = {}

    async def refusal(self, walk: Walk, node: PlanNode) -> Hold | Fault | None:
        """What keeps the node from its call; None permits it. Raises TemporaryError."""
        try:
            await self._admit(walk, node)
            await self._authority.still_allowed(walk.row, tool_of(walk, node))
            await self._reserve(walk, node)
        except PermanentError as error:
            return _held(error, self._terms.budgets(), walk.log.at) or Fault.of(error)

        return None

    async def settle(self, node_id: str, used: Mapping[str, float]) -> None:
        """The call that was reserved has ended; unsettled it counts as much.

        ``used`` is what it took of each meter; nothing is said of one: all of it.
        """
        for reservation in self._reserved.pop(node_id, ()):
            amount = used.get(reservation.meter, reservation.amount)
            with suppress(StoreUnavailable):
                await self._budgets.settle(reservation.tenant, reservation.id, amount)

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
        budgets, spender = self._terms.budgets(), _spender(walk.row)
        wanted = tuple(
            one
            for want in self._wanted(walk, node)
            for one in reservations(budgets, want, spender)
        )
        if wanted:
            await self._budgets.reserve(wanted)
            self._reserved[node.id] = wanted

    def _wanted(self, walk: Walk, node: PlanNode) -> Iterator[Wanted]:
        """What the call may take at most of each meter."""
        known, at = walk.progress.node(node.id), walk.log.at
        id_ = f"{walk.row.id}:{node.id}:{known.attempt}"
        if node.type == "tool":
            yield Wanted("calls", 1.0, id_, at)
        elif known.wish is not None:
            yield Wanted("calls", 1.0, f"{id_}:{known.wish.id}", at)
        elif node.prompt is not None:
            tokens, cost = self._model.worst_cost(request_of(node, known))
            call = f"{walk.row.id}:{node.id}:asked:{known.asked + 1}"
            yield Wanted("tokens", tokens, f"{call}:tokens", at)
            yield Wanted("cost", cost, f"{call}:cost", at)


def tool_of(walk: Walk, node: PlanNode) -> str:
    """The name of the tool a node calls now; empty if it calls none."""
    within = called(node, walk.progress.node(node.id))
    tool = within.tool if within is not None else node.tool
    return "" if tool is None else tool.name


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
    """When the first of the windows is over; None: never."""
    lengths = [
        _WINDOW_S[budget.window] for budget in budgets if budget.window in _WINDOW_S
    ]
    if not lengths:
        return None

    seconds = int(moment(at).timestamp())
    length = min(lengths)
    return later(at[:19] + ".000Z", length - seconds % length)
