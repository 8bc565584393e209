"""What an action sets aside of the budgets: pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from contracts.clock import Timestamp
from contracts.policy import Budget
from contracts.records import Reservation

Meter = Literal["tokens", "cost", "runs", "calls"]


class Spender(NamedTuple):
    """Who uses a meter, by the id of each scope; None has no such scope."""

    tenant: str
    subject: str
    conversation: str | None = None
    run: str | None = None


class Wanted(NamedTuple):
    """One use of a meter, before it is used.

    ``use_id`` names the use, so that reserving it twice counts once.
    """

    meter: Meter
    amount: float
    use_id: str
    at: Timestamp


def reservations(
    budgets: tuple[Budget, ...], wanted: Wanted, spender: Spender
) -> tuple[Reservation, ...]:
    """One reservation for each budget that bounds this use; often none."""
    return tuple(
        Reservation(
            id=f"{wanted.use_id}/{n}",
            tenant=spender.tenant,
            scope=budget.scope,
            scope_id=scope_id,
            meter=wanted.meter,
            window=budget.window_at(wanted.at),
            limit=budget.limit,
            amount=wanted.amount,
        )
        for n, budget in enumerate(budgets)
        if budget.meter == wanted.meter
        and (scope_id := getattr(spender, budget.scope)) is not None
    )
