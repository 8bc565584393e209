"""Says what an evaluation may cost before it is run, and refuses what costs too much.

The library counts how often loops go round, but not how much work a round is: a
list is copied each time ``map`` adds to it, a pattern is compiled at each match,
text can be doubled a hundred times over. So the tree is walked once with the sizes
of the values in place of the values. What the run would skip is counted too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from plans.expressions import limits
from plans.expressions.extents import (
    NOTHING,
    SMALL,
    Extent,
    Known,
    Made,
    both,
    either,
    listed,
    repeated,
    text,
)
from plans.expressions.patterns import cost_of_pattern
from plans.expressions.trees import (
    Call,
    Items,
    Literal,
    Loop,
    Member,
    Name,
    Node,
    Record,
)

_NODE = 64
_ROUND = 300
_COPIED_ELEMENT = 24
_LONGEST_NUMBER = 330
_LONGEST_DECIMALS = 1_000
_REPLACED = 32
_UNKNOWN_PATTERN = 25_000


class TooCostly(Exception):
    """The evaluation may cost more than an evaluation may."""


def afford(tree: Node, values: Mapping[str, Any]) -> int:
    """What evaluating the tree with these values may cost, in units of limits.COST.

    Raises TooCostly.
    """
    estimate = _Estimate(values)
    result = estimate.of(tree)
    estimate.spend(result.weight)
    return estimate.spent


class _Estimate:
    """One walk over a tree: what is spent so far, and what the loops around mean."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.spent = 0
        self._times = 1
        self._rounds = 0
        self._scope: dict[str, Extent] = {}
        self._values = values

    def spend(self, units: int) -> None:
        """Add what one evaluation of the part at hand costs."""
        self.spent += units * self._times

        if self.spent > limits.COST:
            raise TooCostly

    def of(self, node: Node) -> Extent:
        """The extent of a part; its cost is spent."""
        self.spend(_NODE)

        match node:
            case Literal(value=value):
                return Known([value]) if isinstance(value, str) else _scalar(value)
            case Name(name=name):
                return self._scope.get(name) or self._variable(name.removeprefix("."))
            case Member(operand=operand, field=field, asked=asked):
                whole = self.of(operand)
                return SMALL if asked else whole.member(field)
            case Items() | Record():
                return self._written(node)
            case Call():
                return self._call(node)
            case Loop():
                return self._loop(node)

    def _variable(self, name: str) -> Extent:
        return Known([self._values[name]] if name in self._values else [])

    def _written(self, node: Items | Record) -> Extent:
        self.spend(_COPIED_ELEMENT * len(node.parts))
        return listed([self.of(part) for part in node.parts])

    def _call(self, call: Call) -> Extent:
        if _adds_to_list(call):
            self.spend(_COPIED_ELEMENT * self._rounds // 2)

        extents = [self.of(part) for part in call.parts]
        units, result = _RULES.get(call.function, _any)(extents)
        self.spend(units)
        return result

    def _loop(self, loop: Loop) -> Extent:
        source, start = self.of(loop.source), self.of(loop.start)
        inside = dict.fromkeys(loop.names, source.element())
        around = self._times, self._rounds, self._scope
        self._rounds = source.count
        self._times = min(self._times * max(self._rounds, 1), limits.ITERATIONS)
        self._scope = {**self._scope, **inside, loop.accumulator: NOTHING}
        self.spend(_ROUND)
        self.of(loop.condition)
        step, rounds = self.of(loop.step), self._rounds
        self._times, self._rounds, self._scope = around
        return self._result(loop, _grown(start, step, rounds))

    def _result(self, loop: Loop, accumulated: Extent) -> Extent:
        around = self._scope
        self._scope = {**around, loop.accumulator: accumulated}
        result = self.of(loop.result)
        self._scope = around
        return result


def _adds_to_list(call: Call) -> bool:
    """Whether this is how ``map`` and ``filter`` collect: a copy of all so far."""
    match call:
        case Call(function="_+_", parts=(Name(name=name), Items())):
            return name.startswith("@")
        case _:
            return False


def _scalar(value: object) -> Extent:
    return text(len(value)) if isinstance(value, bytes) else SMALL


def _grown(start: Extent, step: Extent, rounds: int) -> Extent:
    return both([start, repeated(step, rounds)]) if rounds else start


Rule = Callable[[list[Extent]], tuple[int, Extent]]
"""The units a call costs beyond its arguments, and the extent of its result."""


def _any(args: list[Extent]) -> tuple[int, Extent]:
    whole = both(args)
    return whole.weight, Made(2 * whole.count + 64, 2 * whole.weight + 64)


def _constant(_: list[Extent]) -> tuple[int, Extent]:
    return 0, SMALL


def _choice(args: list[Extent]) -> tuple[int, Extent]:
    return 0, either(args[1:])


def _comparison(args: list[Extent]) -> tuple[int, Extent]:
    return min(arg.weight for arg in args), SMALL


def _search(args: list[Extent]) -> tuple[int, Extent]:
    return both(args).weight, SMALL


def _size(args: list[Extent]) -> tuple[int, Extent]:
    return args[0].count, SMALL


def _membership(args: list[Extent]) -> tuple[int, Extent]:
    one, all_ = args
    return min(all_.weight, all_.count * (one.weight + _COPIED_ELEMENT)), SMALL


def _sum(args: list[Extent]) -> tuple[int, Extent]:
    whole = both(args)
    return whole.weight, whole


def _index(args: list[Extent]) -> tuple[int, Extent]:
    container, key = args
    name = key.values[0] if isinstance(key, Known) and len(key.values) == 1 else None
    return 0, container.member(name) if isinstance(name, str) else container.entry()


def _first(args: list[Extent]) -> tuple[int, Extent]:
    return 0, args[0]


def _match(args: list[Extent]) -> tuple[int, Extent]:
    subject, pattern = args
    return subject.count + _compiling(pattern), SMALL


def _compiling(pattern: Extent) -> int:
    if not isinstance(pattern, Known):
        return _UNKNOWN_PATTERN * pattern.count

    texts = (value for value in pattern.values if isinstance(value, str))
    return max(map(cost_of_pattern, texts), default=0)


def _replace(args: list[Extent]) -> tuple[int, Extent]:
    subject, new = args[0], args[2]
    result = text(subject.count + (subject.count + 1) * new.count)
    return result.weight + _REPLACED * subject.count, result


def _join(args: list[Extent]) -> tuple[int, Extent]:
    separators = args[0].count * args[1].count if len(args) > 1 else 0
    result = text(args[0].weight + separators)
    return result.weight, result


def _split(args: list[Extent]) -> tuple[int, Extent]:
    pieces = args[0].count + 1
    weight = args[0].weight + (_COPIED_ELEMENT + 8) * pieces
    return weight, Made(pieces, weight, args[0].weight)


def _format(args: list[Extent]) -> tuple[int, Extent]:
    template, given = args
    known = template.values if isinstance(template, Known) else ["%." * template.count]
    clauses = max((t.count("%") for t in known if isinstance(t, str)), default=0)
    decimals = any("." in t for t in known if isinstance(t, str)) * _LONGEST_DECIMALS
    clause = 4 * given.weight + _LONGEST_NUMBER + decimals
    result = text(template.count + clauses * clause)
    return result.weight, result


_RULES: dict[str, Rule] = {
    **dict.fromkeys("_&&_ _||_ !_ @not_strictly_false".split(), _constant),
    **dict.fromkeys("_-_ _*_ _/_ _%_ -_ hasValue".split(), _constant),
    **dict.fromkeys("_==_ _!=_ _<_ _<=_ _>_ _>=_".split(), _comparison),
    **dict.fromkeys("contains startsWith endsWith".split(), _search),
    **dict.fromkeys("_[_] _?._ _[?_]".split(), _index),
    **dict.fromkeys("value dyn optional.of optional.ofNonZeroValue".split(), _first),
    "@in": _membership,
    "size": _size,
    "_?_:_": _choice,
    "_+_": _sum,
    "orValue": lambda args: (0, either(args)),
    "or": lambda args: (0, either(args)),
    "matches": _match,
    "replace": _replace,
    "join": _join,
    "split": _split,
    "format": _format,
}
"""What is known of functions; any other is taken to look at all it is given."""
