"""What the sink received is judged: each way to call twice or in vain is found."""

from __future__ import annotations

import pytest

from tests.faults.calls import check_calls
from tests.faults.orders import Order
from tests.support.sink import Received

PAY = Order("1-0", "pay", 3)
OTHER = Order("1-1", "pay", 4)

RESERVED = Received("reserve", "1-0", "run_a:reserve:0", "d1")
CHARGED = Received("charge", "1-0", None, "d2")
WHOLE = [RESERVED, CHARGED]


def test_a_call_with_a_key_may_come_again_as_it_was() -> None:
    assert _found([RESERVED, *WHOLE]) == []


@pytest.mark.parametrize(
    ("received", "promise"),
    [
        ([*WHOLE, CHARGED], "doubled"),
        ([*WHOLE, RESERVED._replace(key="another")], "doubled"),
        ([*WHOLE, RESERVED._replace(digest="another")], "doubled"),
        ([*WHOLE, RESERVED._replace(token="1-1")], "doubled"),
        ([RESERVED._replace(key=None), CHARGED], "wrong"),
        ([RESERVED], "wrong"),
    ],
)
def test_each_way_to_call_wrongly_is_found(
    received: list[Received], promise: str
) -> None:
    assert _found(received) == [promise]


def test_a_run_that_did_not_complete_may_lack_calls() -> None:
    assert list(check_calls([PAY], set(), [RESERVED])) == []


def _found(received: list[Received]) -> list[str]:
    found = check_calls([PAY, OTHER], {PAY.token}, received)
    return [violation.promise for violation in found]
