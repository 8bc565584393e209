"""How large values are, or may become: what a cost estimate calculates with.

``count`` is the most elements, entries or characters a value can have, ``weight``
the most it weighs with all that is below, ``largest`` the most one element weighs.
Weights are in characters; a list's element or a map's entry adds a few.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

_SCALAR = 8
_ELEMENT = 24


class Made:
    """A value the expression makes: only bounds are known."""

    def __init__(self, count: int, weight: int, largest: int | None = None) -> None:
        self.count = count
        self.weight = weight
        self.largest = weight if largest is None else largest

    def member(self, name: str) -> Extent:
        """No member weighs more than the largest."""
        return self.element()

    def element(self) -> Extent:
        """No element weighs more than the largest."""
        return Made(self.largest, self.largest)

    entry = element


class Known:
    """One of these values, which are there to be looked at."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    @cached_property
    def count(self) -> int:
        """The length of the longest."""
        sized = (len(v) for v in self.values if type(v) in (str, list, dict))
        return max(sized, default=0)

    @cached_property
    def weight(self) -> int:
        """The weight of the heaviest."""
        return max(map(_weigh, self.values), default=0)

    @cached_property
    def largest(self) -> int:
        """The weight of the heaviest element or entry."""
        return max(self.element().weight, self.entry().weight)

    def member(self, name: str) -> Extent:
        """That member of each value that has it."""
        return Known([v[name] for v in self._maps() if name in v])

    def element(self) -> Extent:
        """All elements of all lists and all keys of all maps."""
        return Known([e for v in self.values if type(v) in (list, dict) for e in v])

    def entry(self) -> Extent:
        """All elements of all lists and all values of all maps."""
        lists = [e for v in self.values if type(v) is list for e in v]
        return Known(lists + [e for v in self._maps() for e in v.values()])

    def _maps(self) -> Iterable[dict[str, Any]]:
        return (v for v in self.values if type(v) is dict)


Extent = Made | Known
"""The size of any value that a part of an expression can have."""


def _weigh(value: Any) -> int:
    kind = type(value)

    if kind is str:
        return len(value) + _SCALAR

    if kind is list:
        return _SCALAR + _ELEMENT * len(value) + sum(map(_weigh, value))

    if kind is dict:
        keys = sum(map(len, value)) + _ELEMENT * len(value)
        return _SCALAR + keys + sum(map(_weigh, value.values()))

    return _SCALAR


def text(count: int) -> Extent:
    """A text of at most so many characters."""
    return Made(count, count + _SCALAR)


def both(extents: Iterable[Extent]) -> Extent:
    """What holds all of these: a sum, a concatenation."""
    parts = list(extents)
    count, weight = sum(p.count for p in parts), sum(p.weight for p in parts)
    return Made(count, weight, max((p.largest for p in parts), default=0))


def listed(extents: Iterable[Extent]) -> Extent:
    """A list or map of these."""
    weights = [part.weight for part in extents]
    weight = sum(weights) + _ELEMENT * len(weights) + _SCALAR
    return Made(len(weights), weight, max(weights, default=0))


def either(extents: Iterable[Extent]) -> Extent:
    """Any one of these."""
    parts = list(extents)

    if all(isinstance(p, Known) for p in parts):
        values = (v for p in parts if isinstance(p, Known) for v in p.values)
        return Known(list({id(value): value for value in values}.values()))

    count, weight = max(p.count for p in parts), max(p.weight for p in parts)
    return Made(count, weight, max(p.largest for p in parts))


def repeated(extent: Extent, times: int) -> Extent:
    """So many of these, one added to the other."""
    return Made(extent.count * times, extent.weight * times, extent.largest)


SMALL = Made(0, _SCALAR)
"""A boolean, a number, a time."""

NOTHING = Made(0, 0)
"""What is not there yet."""
