"""One call of the model: paid for before, broadcast as it comes, settled after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agents.conversation.desk import Means
from agents.conversation.settings import ConversationSettings
from bus import Bus
from contracts import (
    Clock,
    ConversationRow,
    ModelAnswer,
    ModelRequest,
    TextSaid,
    said,
    stamp,
    words_of,
)
from contracts.reserving import Spender, Wanted, reservations
from llm import Model, answer_of
from store import Budgets


class Call(NamedTuple):
    """A call of a turn."""

    turn_id: str
    step: int
    request: ModelRequest
    timeout_s: float


class Thinking:
    """Asks the model within the budgets."""

    def __init__(
        self,
        model: Model,
        budgets: Budgets,
        bus: Bus,
        clock: Clock,
        settings: ConversationSettings,
    ) -> None:
        self._model = model
        self._budgets = budgets
        self._bus = bus
        self._clock = clock
        self._settings = settings

    async def afford(
        self, row: ConversationRow, subject: str, use_id: str, request: ModelRequest
    ) -> dict[str, str]:
        """Set aside what the call may cost at most; the same call again counts once.

        The meter of each reservation, by its id.

        Raises PermanentError ``budget_exceeded``, StoreUnavailable.
        """
        budgets, at = self._settings.budgets(), stamp(self._clock.now())
        tokens, cost = self._model.worst_cost(request)
        spender = Spender(row.tenant, subject, row.id)
        wanted = (
            Wanted("tokens", tokens, f"{use_id}/tokens", at),
            Wanted("cost", cost, f"{use_id}/cost", at),
        )
        reserved = tuple(
            one for want in wanted for one in reservations(budgets, want, spender)
        )
        if reserved:
            await self._budgets.reserve(reserved)

        return {one.id: one.meter for one in reserved}

    async def settle(
        self, tenant: str, reserved: Mapping[str, str], answer: ModelAnswer
    ) -> None:
        """Count what was used for what was set aside, by the meter of each id.

        Again is harmless. Raises StoreUnavailable.
        """
        used = {"tokens": float(answer.usage.tokens), "cost": answer.usage.cost}
        for id_, meter in reserved.items():
            await self._budgets.settle(tenant, id_, used[meter])

    async def ask_quietly(self, call: Call) -> ModelAnswer:
        """Ask the model for ourselves: nobody reads along."""
        return await answer_of(self._model, call.request, timeout_s=call.timeout_s)

    async def ask(self, row: ConversationRow, call: Call) -> ModelAnswer:
        """Ask the model, and let whoever listens see its words as they come."""

        def tell(text: str) -> None:
            self._bus.broadcast(words_of(row.id), lambda: self._piece(row, call, text))

        return await answer_of(
            self._model, call.request, timeout_s=call.timeout_s, on_text=tell
        )

    def _piece(self, row: ConversationRow, call: Call, text: str) -> Any:
        piece = TextSaid(
            conversation_id=row.id, turn_id=call.turn_id, step=call.step, text=text
        )
        at = stamp(self._clock.now())
        return said(piece, by="conversation", tenant=row.tenant, at=at)


def thinking_of(means: Means) -> Thinking:
    """How conversations think that are held with these means."""
    return Thinking(
        means.model, means.store.budgets, means.bus, means.clock, means.settings
    )
