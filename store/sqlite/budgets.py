"""Meters, and what is set aside of them before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from contracts import PermanentError, Reservation
from store.protocol import MeterUse
from store.sqlite.rows import Row, one, unless_refused
from store.sqlite.writer import Database

_ROUNDING = 1e-9
"""By so much of itself a limit may be passed: sums of fractions are not exact."""

_METER = "tenant = ? AND scope = ? AND scope_id = ? AND meter = ? AND window = ?"


def refusal(
    connection: Connection, reservations: Sequence[Reservation]
) -> PermanentError | None:
    """Why these cannot all be set aside, if they cannot; nothing is written."""
    asked: dict[tuple[str, ...], float] = {}
    for reservation in _new(connection, reservations):
        meter = _meter(reservation)
        used = sum(_use(connection, meter)) + asked.get(meter, 0.0)
        if used + reservation.amount > reservation.limit * (1 + _ROUNDING):
            return _exceeded(reservation, used)

        asked[meter] = asked.get(meter, 0.0) + reservation.amount

    return None


def reserve(connection: Connection, reservations: Sequence[Reservation]) -> None:
    """Set aside what is not refused; what was set aside before is left."""
    for reservation in _new(connection, reservations):
        meter, amount = _meter(reservation), reservation.amount
        connection.execute(
            "INSERT INTO budgets (tenant, id, scope, scope_id, meter, window, amount) "
            "VALUES (?,?,?,?,?,?,?)",
            (reservation.tenant, reservation.id, *meter[1:], amount),
        )
        connection.execute(
            "INSERT INTO usage (tenant, scope, scope_id, meter, window, reserved) "
            "VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE "
            "SET reserved = reserved + excluded.reserved",
            (*meter, amount),
        )


def _new(
    connection: Connection, reservations: Sequence[Reservation]
) -> list[Reservation]:
    sql = "SELECT 1 FROM budgets WHERE tenant = ? AND id = ?"
    distinct = {(each.tenant, each.id): each for each in reservations}
    return [each for key, each in distinct.items() if one(connection, sql, key) is None]


def _exceeded(reservation: Reservation, used: float) -> PermanentError:
    which = {"scope", "scope_id", "meter", "window", "limit", "amount"}
    details = {**reservation.model_dump(include=which), "used": used}
    return PermanentError(code="budget_exceeded", details=details)


def _reserve_all(
    connection: Connection, reservations: Sequence[Reservation]
) -> PermanentError | None:
    refused = refusal(connection, reservations)
    if refused is None:
        reserve(connection, reservations)

    return refused


def use_up(connection: Connection, reservations: Sequence[Reservation]) -> None:
    """Settle what was used to the full as soon as it was set aside."""
    for each in reservations:
        _settle(connection, each.tenant, each.id, each.amount)


def _settle(
    connection: Connection, tenant: str, reservation_id: str, amount: float
) -> None:
    settled = one(
        connection,
        "UPDATE budgets SET settled = 1 WHERE tenant = ? AND id = ? AND NOT settled "
        "RETURNING scope, scope_id, meter, window, amount",
        (tenant, reservation_id),
    )
    if settled is None:
        return

    *meter, reserved = settled
    connection.execute(
        "UPDATE usage SET settled = settled + ?, reserved = max(0, reserved - ?) "
        f"WHERE {_METER}",
        (amount, reserved, tenant, *meter),
    )


def _use(connection: Connection, meter: Sequence[str]) -> Row:
    sql = f"SELECT settled, reserved FROM usage WHERE {_METER}"
    return one(connection, sql, meter) or (0.0, 0.0)


def _meter(reservation: Reservation) -> tuple[str, ...]:
    return (
        reservation.tenant,
        reservation.scope,
        reservation.scope_id,
        reservation.meter,
        reservation.window,
    )


class SqliteBudgets:
    """Budgets in tables ``usage`` (meters) and ``budgets`` (reservations)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, reservations: tuple[Reservation, ...]) -> None:
        """See Budgets."""
        unless_refused(
            await self._database.write(lambda c: _reserve_all(c, reservations))
        )

    async def settle(self, tenant: str, reservation_id: str, amount: float) -> None:
        """See Budgets."""
        await self._database.write(lambda c: _settle(c, tenant, reservation_id, amount))

    async def use(
        self, tenant: str, scope: str, scope_id: str, meter: str, window: str
    ) -> MeterUse:
        """See Budgets."""
        which = (tenant, scope, scope_id, meter, window)
        return MeterUse(*await self._database.read(lambda c: _use(c, which)))
