"""What an action sets aside of the budgets: pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from contracts import Budget, Reservation, Timestamp

Meter = Literal["tokens", "cost", "runs", "calls"]

_WINDOW_CHARS = {"minute": 16, "hour": 13, "day": 10}
"""How much of a timestamp names the window it falls into."""


class Spender(NamedTuple):
    """Who uses a meter, by the id of each scope; None has no such scope."""

    tenant: str
    subject: str
    conversation: str | None = None
    run: str | None = None


def window_of(window: str, at: Timestamp) -> str:
    """The name of the window (UTC) that a moment falls into."""
    return "run" if window == "run" else at[: _WINDOW_CHARS[window]]


def reservations(
    budgets: tuple[Budget, ...],
    meter: Meter,
    amount: float,
    spender: Spender,
    *,
    use_id: str,
    at: Timestamp,
) -> tuple[Reservation, ...]:
    """One reservation for each budget that bounds this use; often none.

    ``use_id`` names the use, so that reserving it twice counts once.
    """
    return tuple(
        Reservation(
            id=f"{use_id}/{n}",
            tenant=spender.tenant,
            scope=budget.scope,
            scope_id=scope_id,
            meter=meter,
            window=f"{budget.window}:{window_of(budget.window, at)}",
            limit=budget.limit,
            amount=amount,
        )
        for n, budget in enumerate(budgets)
        if budget.meter == meter
        and (scope_id := getattr(spender, budget.scope)) is not None
    )
