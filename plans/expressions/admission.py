"""Refuses what the CEL library would take and we do not, by looking at the tree."""

from __future__ import annotations

from plans.expressions import limits
from plans.expressions.diagnosis import problem, unknown_name
from plans.expressions.scanning import size
from plans.expressions.trees import Call, Items, Loop, Member, Node, Record, walk

_MAKES_OPTIONAL = frozenset(
    "_?._ _[?_] first last or optional.of optional.none optional.ofNonZeroValue".split()
)
_TAKES_OPTIONAL_FIRST = frozenset("_?._ _[?_] _[_] or orValue value hasValue".split())


def admit_source(source: str) -> None:
    """Refuse a text that is too large to be parsed. Raises InvalidInput."""
    if len(source.encode(errors="replace")) >= limits.SOURCE_BYTES:
        raise problem("cel_too_complex", "it must be shorter than 10 KiB", source)

    count, depth = size(source)

    if count >= limits.TOKENS or depth > limits.NESTING:
        raise problem("cel_too_complex", "it is too long or nests too deeply", source)


def admit_tree(tree: Node, source: str) -> None:
    """Refuse what is too large, makes a message, or lets an optional value out.

    The library's way from an optional value inside a map to Python is a crash.
    """
    nodes = list(walk(tree))

    if len(nodes) >= limits.NODES:
        raise problem(
            "cel_too_complex", f"it must have under {limits.NODES} parts", source
        )

    for node in nodes:
        if isinstance(node, Record) and node.message:
            raise unknown_name(node.message, [], source)

    if is_optional(tree) or any(map(_lets_optional_in, nodes)):
        what = "a value that may be absent needs orValue() or hasValue()"
        raise problem("cel_type", what, source)


def is_optional(node: Node) -> bool:
    """Whether the value of this part may be an optional one, at any time."""
    match node:
        case Call(function="_?_:_", parts=(_, then, otherwise)):
            return is_optional(then) or is_optional(otherwise)
        case Call(function=function) if function in _MAKES_OPTIONAL:
            return True
        case Member(operand=operand, asked=asked):
            return not asked and is_optional(operand)
        case Call(function="_[_]", parts=(operand, _)):
            return is_optional(operand)
        case Loop(result=result):
            return is_optional(result)
        case _:
            return node.optional


def _lets_optional_in(node: Node) -> bool:
    """Whether an optional value stands directly below where none may stand."""
    takers = _takers(node)
    others = (p for p in node.parts if not any(p is taker for taker in takers))
    return any(map(is_optional, others))


def _takers(node: Node) -> tuple[Node, ...]:
    """The parts of a node that may be optional values."""
    match node:
        case Call(function="or", parts=parts) | Member(parts=parts):
            return parts
        case Call(function="_?_:_", parts=(_, *branches)):
            return tuple(branches)
        case Call(function=function, parts=parts) if function in _TAKES_OPTIONAL_FIRST:
            return parts[:1]
        case Items(spread=spread) | Record(spread=spread):
            return spread
        case Loop(result=result):
            return (result,)
        case _:
            return ()
