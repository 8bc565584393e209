"""Finds conditions inside an expression that Python can judge as CEL would.

``decision.action == 'x' && …`` is false wherever the action is another one, whatever
follows, and even if what follows is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plans.expressions.paths import Path, follow, path_of
from plans.expressions.trees import Call, Items, Literal, Member, Name, Node

_HARMLESS = frozenset("_&&_ _||_ !_ _==_ _!=_ _<_ _<=_ _>_ _>=_ @in".split())

JSON_TYPES = frozenset((str, int, float, bool, list, dict, type(None)))
"""The exact types a JSON value has in Python."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The expression can only hold if the member at ``path`` is one of ``texts``."""

    path: Path
    texts: frozenset[str]

    def excludes(self, values: Mapping[str, Any]) -> bool:
        """Whether the expression is false for these values, for certain."""
        try:
            value = follow(self.path, values)
        except KeyError:
            return False

        return (
            value not in self.texts if type(value) is str else type(value) in JSON_TYPES
        )


def guards_of(tree: Node) -> tuple[Guard, ...]:
    """The guards among the first conditions of a conjunction.

    Only conditions that stand left of anything that could fail for its cost count:
    CEL stops at the first false one, but not before.
    """
    found = []

    for condition in _conjuncts(tree):
        if not _is_harmless(condition):
            break

        found.append(_guard(condition))

    return tuple(guard for guard in found if guard)


def _conjuncts(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.function == "_&&_":
        for part in node.parts:
            yield from _conjuncts(part)
    else:
        yield node


def _is_harmless(node: Node) -> bool:
    """Whether it can be true, false or an ordinary error, and nothing else."""
    match node:
        case Literal() | Name() | Member() | Items():
            return all(map(_is_harmless, node.parts))
        case Call(function=function, parts=parts):
            return function in _HARMLESS and all(map(_is_harmless, parts))
        case _:
            return False


def _guard(condition: Node) -> Guard | None:
    match condition:
        case Call(function="_==_", parts=(subject, Literal(value=str(text)))):
            return _guard_on(subject, [text])
        case Call(function="_==_", parts=(Literal(value=str(text)), subject)):
            return _guard_on(subject, [text])
        case Call(function="@in", parts=(subject, Items(parts=parts, spread=()))):
            texts = [p.value for p in parts if isinstance(p, Literal)]
            return _guard_on(subject, texts) if len(texts) == len(parts) else None
        case _:
            return None


def _guard_on(subject: Node, texts: Sequence[object]) -> Guard | None:
    path = path_of(subject)
    known = [text for text in texts if isinstance(text, str)]
    return Guard(path, frozenset(known)) if path and len(known) == len(texts) else None
