"""Meters, and what is set aside of them before it is used.

A meter's document holds what is set aside, by reservation, so that setting aside and
settling are one update each and harmless twice. A reservation's document says which
meter it is of, and what was used once it is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contracts import PermanentError, Reservation
from store.mongo.database import Database, Document, Listing, key
from store.protocol import MeterUse

_ROUNDING = 1e-9
"""By so much of itself a limit may be passed: sums of fractions are not exact."""

_USED: dict[str, Any] = {"$add": ["$settled", {"$sum": "$open.amount"}]}


class Meters:
    """Reserving and giving back, for budgets and for runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self, reservations: Sequence[Reservation]
    ) -> tuple[Reservation, ...]:
        """Set all of them aside, or none; those that were not set aside before.

        Raises PermanentError ``budget_exceeded``.
        """
        distinct = {key(each.tenant, each.id): each for each in reservations}
        if not distinct:
            return ()

        meters = await self._by_id("usage", map(_meter, reservations))
        known = await self._by_id("budgets", distinct)
        new = [
            each
            for id_, each in distinct.items()
            if known.get(id_, {}).get("settled") is None
            and each.id not in _open(meters.get(_meter(each)))
        ]
        _unless_refused(new, meters)
        for meter in {_meter(each) for each in new} - meters.keys():
            empty = {"_id": meter, "settled": 0.0, "open": []}
            await self._database.insert("usage", empty)

        return await self._hold_all(new)

    async def _hold_all(self, new: Sequence[Reservation]) -> tuple[Reservation, ...]:
        held: list[Reservation] = []
        for reservation in new:
            refused = await self._hold(reservation)
            if refused is not None:
                await self.give_back(held)
                raise refused

            held.append(reservation)

        return tuple(held)

    async def give_back(self, held: Sequence[Reservation]) -> None:
        """Undo what ``reserve`` did."""
        for reservation in held:
            await self._database.update(
                "usage",
                {"_id": _meter(reservation)},
                {"$pull": {"open": {"id": reservation.id}}},
            )
            which = {"_id": key(reservation.tenant, reservation.id), "settled": None}
            await self._database.delete("budgets", which)

    async def use_up(self, held: Sequence[Reservation]) -> None:
        """Settle what was used to the full as soon as it was set aside."""
        for each in held:
            await self.settle(each.tenant, each.id, each.amount)

    async def settle(self, tenant: str, reservation_id: str, amount: float) -> None:
        """See Budgets."""
        which = {"_id": key(tenant, reservation_id)}
        await self._database.update(
            "budgets", {**which, "settled": None}, {"$set": {"settled": amount}}
        )
        found = await self._database.one("budgets", which)
        if found is None:
            return

        # The first amount counts, whoever comes back; the meter takes it once.
        await self._database.update(
            "usage",
            {"_id": found["meter"], "open.id": reservation_id},
            {
                "$pull": {"open": {"id": reservation_id}},
                "$inc": {"settled": found["settled"]},
            },
        )

    async def _hold(self, reservation: Reservation) -> PermanentError | None:
        """Set one aside; why not, if not."""
        meter = _meter(reservation)
        await self._database.insert(
            "budgets",
            {
                "_id": key(reservation.tenant, reservation.id),
                "meter": meter,
                "settled": None,
            },
        )
        which = {
            "_id": meter,
            "open.id": {"$ne": reservation.id},
            "$expr": {
                "$lte": [{"$add": [_USED, reservation.amount]}, _most(reservation)]
            },
        }
        entry = {"id": reservation.id, "amount": reservation.amount}
        if await self._database.changed("usage", which, {"$push": {"open": entry}}):
            return None

        found = await self._database.one("usage", {"_id": meter})
        if reservation.id in _open(found):
            return None

        await self.give_back([reservation])
        return _exceeded(reservation, _used(found))

    async def _by_id(self, name: str, ids: Iterable[str]) -> dict[str, Document]:
        listing = Listing({"_id": {"$in": list(ids)}})
        return {each["_id"]: each for each in await self._database.many(name, listing)}


class MongoBudgets:
    """Budgets in collections ``usage`` (meters) and ``budgets`` (reservations)."""

    def __init__(self, database: Database, meters: Meters) -> None:
        self._database = database
        self._meters = meters

    async def reserve(self, reservations: tuple[Reservation, ...]) -> None:
        """See Budgets."""
        await self._meters.reserve(reservations)

    async def settle(self, tenant: str, reservation_id: str, amount: float) -> None:
        """See Budgets."""
        await self._meters.settle(tenant, reservation_id, amount)

    async def use(
        self, tenant: str, scope: str, scope_id: str, meter: str, window: str
    ) -> MeterUse:
        """See Budgets."""
        which = {"_id": key(tenant, scope, scope_id, meter, window)}
        found = await self._database.one("usage", which)
        if found is None:
            return MeterUse(0.0, 0.0)

        return MeterUse(found["settled"], sum(_open(found).values()))


def _meter(reservation: Reservation) -> str:
    return key(
        reservation.tenant,
        reservation.scope,
        reservation.scope_id,
        reservation.meter,
        reservation.window,
    )


def _unless_refused(new: Sequence[Reservation], meters: Mapping[str, Document]) -> None:
    """Look before anything is written: most refusals are found here."""
    asked: dict[str, float] = {}
    for reservation in new:
        meter = _meter(reservation)
        used = _used(meters.get(meter)) + asked.get(meter, 0.0)
        if used + reservation.amount > _most(reservation):
            raise _exceeded(reservation, used)

        asked[meter] = asked.get(meter, 0.0) + reservation.amount


def _open(meter: Document | None) -> dict[str, float]:
    """What a meter holds, by reservation."""
    return {each["id"]: each["amount"] for each in meter["open"]} if meter else {}


def _used(meter: Document | None) -> float:
    return meter["settled"] + sum(_open(meter).values()) if meter else 0.0


def _most(reservation: Reservation) -> float:
    return reservation.limit * (1 + _ROUNDING)


def _exceeded(reservation: Reservation, used: float) -> PermanentError:
    which = {"scope", "scope_id", "meter", "window", "limit", "amount"}
    details = {**reservation.model_dump(include=which), "used": used}
    return PermanentError(code="budget_exceeded", details=details)
