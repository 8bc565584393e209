"""What every store promises about budgets."""

from __future__ import annotations

from contextvars import Context
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import PermanentError
from store import MeterUse, Store, open_store
from tests.support.stored import TENANT, reservation

DAY = "2026-11-21"


async def use(store: Store, meter: str = "tokens", tenant: str = TENANT) -> MeterUse:
    return await store.budgets.use(tenant, "tenant", TENANT, meter, DAY)


async def test_what_is_set_aside_counts_until_it_is_settled(store: Store) -> None:
    assert await use(store) == (0, 0)
    await store.budgets.reserve((reservation("a", 60, 100),))
    assert await use(store) == (0, 60)

    await store.budgets.settle(TENANT, "a", 25)

    assert await use(store) == (25, 0)
    await store.budgets.reserve((reservation("b", 75, 100),))
    assert await use(store) == (25, 75)


async def test_a_reservation_beyond_the_limit_is_refused_and_says_which(
    store: Store,
) -> None:
    await store.budgets.reserve((reservation("a", 60, 100),))

    with pytest.raises(PermanentError) as refused:
        await store.budgets.reserve((reservation("b", 41, 100),))

    assert refused.value.code == "budget_exceeded"
    assert refused.value.details == {
        "scope": "tenant",
        "scope_id": TENANT,
        "meter": "tokens",
        "window": DAY,
        "limit": 100,
        "amount": 41,
        "used": 60,
    }
    assert await use(store) == (0, 60)


async def test_several_reservations_are_made_together_or_not_at_all(
    store: Store,
) -> None:
    several = (reservation("a", 1, 100), reservation("b", 1, 0, meter="cost"))

    with pytest.raises(PermanentError):
        await store.budgets.reserve(several)

    assert await use(store) == (0, 0)
    assert (await store.counts())["budgets"] == 0


async def test_reservations_of_one_meter_add_up_within_one_call(store: Store) -> None:
    with pytest.raises(PermanentError):
        await store.budgets.reserve(
            (reservation("a", 60, 100), reservation("b", 60, 100))
        )

    assert await use(store) == (0, 0)


async def test_the_same_reservation_counts_once(store: Store) -> None:
    again = (reservation("a", 60, 100), reservation("a", 60, 100))
    for _ in range(3):
        await store.budgets.reserve(again)

    assert await use(store) == (0, 60)
    await store.budgets.settle(TENANT, "a", 10)
    await store.budgets.reserve(again)
    assert await use(store) == (10, 0)


async def test_a_reservation_is_settled_once(store: Store) -> None:
    await store.budgets.reserve((reservation("a", 60, 100),))
    for amount in (10, 20):
        await store.budgets.settle(TENANT, "a", amount)

    await store.budgets.settle(TENANT, "unknown", 99)
    await store.budgets.settle("other", "a", 99)

    assert await use(store) == (10, 0)


async def test_meters_are_apart_by_tenant_scope_meter_and_window(store: Store) -> None:
    others: list[dict[str, Any]] = [
        {"tenant": "other"},
        {"scope": "subject", "scope_id": "sub_ada"},
        {"meter": "calls"},
        {"window": "2026-11-22"},
    ]
    for n, more in enumerate(others):
        await store.budgets.reserve((reservation(f"r{n}", 100, 100, **more),))

    assert await use(store) == (0, 0)
    await store.budgets.reserve((reservation("a", 100, 100),))


async def test_of_many_reserving_at_once_no_more_get_through_than_the_limit_allows(
    store: Store,
) -> None:
    got: list[int] = []

    async def reserve(n: int) -> None:
        try:
            await store.budgets.reserve((reservation(str(n), 0.1, 1),))
        except PermanentError:
            return

        got.append(n)

    async with anyio.create_task_group() as tasks:
        for n in range(50):
            tasks.start_soon(reserve, n)

    assert len(got) == 10
    assert (await use(store)).reserved == pytest.approx(1)


class Meter:
    """What a meter should show: the plain rule, without a store."""

    limit = 100

    def __init__(self) -> None:
        self.settled = 0
        self.open: dict[str, int] = {}
        self.ended: set[str] = set()

    def reserve(self, id_: str, amount: int) -> bool:
        if id_ in self.open or id_ in self.ended:
            return True

        if self.settled + sum(self.open.values()) + amount > self.limit:
            return False

        self.open[id_] = amount
        return True

    def settle(self, id_: str, amount: int) -> None:
        if self.open.pop(id_, None) is not None:
            self.settled += amount
            self.ended.add(id_)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from("abcdef"), st.integers(0, 60)),
        max_size=30,
    )
)
def test_a_meter_shows_what_the_plain_rule_says(
    steps: list[tuple[bool, str, int]],
) -> None:
    async def play() -> None:
        meter = Meter()
        async with open_store("sqlite://:memory:") as store:
            for reserves, id_, amount in steps:
                if reserves:
                    told = await reserved(store, id_, amount)
                    assert told == meter.reserve(id_, amount)
                else:
                    await store.budgets.settle(TENANT, id_, amount)
                    meter.settle(id_, amount)

                shown = (meter.settled, sum(meter.open.values()))
                assert await use(store) == shown

    # in a context of its own: the runner of the session's fixtures is no matter
    Context().run(anyio.run, play)


async def reserved(store: Store, id_: str, amount: int) -> bool:
    try:
        await store.budgets.reserve((reservation(id_, amount, Meter.limit),))
    except PermanentError:
        return False

    return True
