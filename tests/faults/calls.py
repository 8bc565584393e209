"""What the sink received, against what the runs say: nothing twice, nothing unasked.

Pure: the sink's ledger is the oracle, the product's own words are what is tested.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.faults.orders import UNREPEATABLE, Order
from tests.faults.violations import Violation
from tests.support.sink import Received

_Received = Mapping[tuple[str, str], Sequence[Received]]


def check_calls(
    orders: Iterable[Order], completed: set[str], received: Sequence[Received]
) -> Iterator[Violation]:
    """``completed`` holds the tokens of the orders whose runs completed."""
    by_step = _by_step(received)
    yield from _repeats(by_step)
    yield from _shared_keys(received)
    yield from _missing(orders, completed, by_step)


def _by_step(received: Sequence[Received]) -> _Received:
    found: dict[tuple[str, str], list[Received]] = defaultdict(list)
    for one in received:
        found[one.token, one.step].append(one)

    return found


def _repeats(received: _Received) -> Iterator[Violation]:
    """Once if it must not be repeated; else with the equal key and the equal body."""
    for (token, step), calls in received.items():
        if step in UNREPEATABLE and len(calls) > 1:
            yield Violation("doubled", token, f"{step} was received {len(calls)} times")

        if len({(one.key, one.digest) for one in calls}) > 1:
            yield Violation("doubled", token, f"{step} was repeated with another key")


def _shared_keys(received: Sequence[Received]) -> Iterator[Violation]:
    """A key means one call of one order, and every repeatable call has one."""
    first: dict[str, tuple[str, str]] = {}
    for one in received:
        if one.step in UNREPEATABLE:
            continue

        if not one.key:
            yield Violation("wrong", one.token, f"{one.step} came without a key")
        elif first.setdefault(one.key, (one.token, one.step)) != (one.token, one.step):
            yield Violation("doubled", one.token, f"{one.step} has another call's key")


def _missing(
    orders: Iterable[Order], completed: set[str], received: _Received
) -> Iterator[Violation]:
    for order in orders:
        if order.token not in completed:
            continue

        for step in sorted(order.steps):
            if not received.get((order.token, step)):
                yield Violation("wrong", order.token, f"{step} was never received")
