"""The wait node: until when, or for which signal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from contracts import InvalidInput, Timestamp, later, stamp
from contracts.definitions import Wait
from plans import Values
from plans.plan import PlanNode
from runs.steps.results import StepResult, Waits

_LONGEST_S = 31_536_000.0


def wait(node: PlanNode, values: Values, at: Timestamp) -> StepResult:
    """What the node waits for, seen from ``at``.

    Raises InvalidInput for what is no duration (0 to a year) or no time.
    """
    said = cast(Wait, node.definition)
    if said.signal is not None:
        latest = None if said.timeout_s is None else later(at, said.timeout_s)
        return Waits(latest, said.signal)

    if said.until is not None:
        return Waits(_time(node.expressions["until"].evaluate(values)))

    return Waits(later(at, _duration(_seconds(node, said, values))))


def _seconds(node: PlanNode, said: Wait, values: Values) -> Any:
    if isinstance(said.seconds, str):
        return node.expressions["seconds"].evaluate(values)

    return said.seconds


def _duration(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _LONGEST_S:
        raise InvalidInput(
            f"A wait lasts 0 to {_LONGEST_S:.0f} seconds, not {value!r:.40}.",
            code="out_of_range",
        )

    return float(value)


def _time(value: Any) -> Timestamp:
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"No time to wait for: {value!r:.40}.") from error

    return stamp((when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC))
