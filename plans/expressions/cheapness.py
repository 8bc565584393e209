"""Recognizes expressions that no values can make costly, so none need weighing."""

from __future__ import annotations

from plans.expressions import limits
from plans.expressions.patterns import cost_of_pattern
from plans.expressions.trees import Call, Items, Literal, Loop, Node, Record, walk

_LOGIC = frozenset("_&&_ _||_ !_ _?_:_ @not_strictly_false".split())
_COMPARISONS = frozenset("_==_ _!=_ _<_ _<=_ _>_ _>=_ @in".split())
_LINEAR = frozenset(
    "_+_ _-_ _*_ _/_ _%_ -_ _[_] _?._ _[?_] size contains startsWith endsWith "
    "lowerAscii upperAscii trim int double string bool timestamp duration "
    "hasValue value orValue".split()
)
_CHEAP = _LOGIC | _COMPARISONS | _LINEAR
_CHEAP_PATTERN = 100_000


def is_cheap(tree: Node) -> bool:
    """Whether its cost is bounded by the size of its values, times a small number."""
    nodes = list(walk(tree))
    calls = [node for node in nodes if isinstance(node, Call)]
    repeated = [part for node in nodes for part in _repeated(node)]
    return (
        len(calls) <= limits.UNWEIGHED_CALLS
        and all(call.function in _CHEAP or _has_cheap_pattern(call) for call in calls)
        and all(map(_is_light, repeated))
    )


def _repeated(node: Node) -> tuple[Node, ...]:
    return (node.condition, node.step) if isinstance(node, Loop) else ()


def _is_light(node: Node) -> bool:
    """Whether one round of a loop looks at a constant number of things only."""
    match node:
        case Literal():
            return True
        case Loop() | Record() | Items():
            return False
        case Call(function=function) if function in _COMPARISONS:
            return _has_constant(node) and all(map(_is_light, node.parts[:-1]))
        case Call(function=function) if function not in _LOGIC:
            return False
        case _:
            return all(map(_is_light, node.parts))


def _has_constant(comparison: Call) -> bool:
    """Whether what stands right of the operator is written out."""
    return all(isinstance(n, Literal | Items) for n in walk(comparison.parts[-1]))


def _has_cheap_pattern(call: Call) -> bool:
    match call:
        case Call(function="matches", parts=(_, Literal(value=str(pattern)))):
            return cost_of_pattern(pattern) <= _CHEAP_PATTERN
        case _:
            return False
