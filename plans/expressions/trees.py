"""The checked syntax tree of an expression, read from its serialized form.

The form is ``cel.expr.CheckedExpr``, CEL's public protocol buffer; macros like
``all`` and ``map`` are written out in it as loops. ``optional`` says of a node that
its static type is, or holds, a value that may be absent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plans.expressions.wire import Message

Scalar = None | bool | int | float | str | bytes


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant written out."""

    optional: bool
    value: Scalar

    @property
    def parts(self) -> tuple[Node, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, a loop's variable or a type; a leading dot skips the loops."""

    optional: bool
    name: str

    @property
    def parts(self) -> tuple[Node, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class Member:
    """``operand.field``, or ``has(operand.field)`` when it is only asked about."""

    optional: bool
    operand: Node
    field: str
    asked: bool

    @property
    def parts(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator; a method's target is its first part."""

    optional: bool
    function: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list written out; ``spread`` are the elements marked with ``?``."""

    optional: bool
    parts: tuple[Node, ...]
    spread: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A map written out, or a message if it has a name; ``spread`` as in a list."""

    optional: bool
    message: str
    parts: tuple[Node, ...]
    spread: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A comprehension: ``step`` sees ``names`` and the accumulator.

    ``result`` sees the accumulator only, ``source`` and ``start`` neither.
    """

    optional: bool
    names: tuple[str, ...]
    source: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        """All five expressions."""
        return (self.source, self.start, self.condition, self.step, self.result)


Node = Literal | Name | Member | Call | Items | Record | Loop


def walk(node: Node) -> Iterator[Node]:
    """The node and every node below it."""
    yield node

    for part in node.parts:
        yield from walk(part)


def tree_of(serialized: bytes) -> Node:
    """The tree of a checked expression serialized as ``google.protobuf.Any``."""
    checked = Message(serialized).message(_IN_ANY)
    types = map(Message, checked.all(_TYPES))
    optional = {t.signed(1) for t in types if b"optional_type" in t.raw(2)}
    return _Reader(optional).node(checked.raw(_TREE))


_IN_ANY = 2
_TYPES = 3
_TREE = 4
_ID = 2


class _Reader:
    """Makes nodes of ``cel.expr.Expr`` messages."""

    def __init__(self, optional: set[int]) -> None:
        self._optional = optional
        self._kinds: dict[int, Callable[[bool, Message], Node]] = {
            3: self._literal,
            4: self._name,
            5: self._member,
            6: self._call,
            7: self._items,
            8: self._record,
            9: self._loop,
        }

    def node(self, data: bytes) -> Node:
        expr = Message(data)
        (kind,) = expr.fields - {_ID}
        optional = expr.signed(_ID) in self._optional
        return self._kinds[kind](optional, expr.message(kind))

    def _nodes(self, all_data: list[bytes]) -> tuple[Node, ...]:
        return tuple(self.node(data) for data in all_data)

    def _literal(self, optional: bool, constant: Message) -> Node:
        (kind,) = constant.fields
        return Literal(optional, _CONSTANTS[kind](constant))

    def _name(self, optional: bool, ident: Message) -> Node:
        return Name(optional, ident.text(1))

    def _member(self, optional: bool, select: Message) -> Node:
        operand = self.node(select.raw(1))
        return Member(optional, operand, select.text(2), bool(select.unsigned(3)))

    def _call(self, optional: bool, call: Message) -> Node:
        parts = self._nodes(call.all(1) + call.all(3))
        return Call(optional, call.text(2), parts)

    def _items(self, optional: bool, items: Message) -> Node:
        parts, marked = self._nodes(items.all(1)), items.set(2)
        return Items(optional, parts, tuple(parts[i] for i in sorted(marked)))

    def _record(self, optional: bool, record: Message) -> Node:
        entries = [Message(data) for data in record.all(2)]
        keys = [self.node(key) for entry in entries for key in entry.all(3)]
        values = [self.node(entry.raw(4)) for entry in entries]
        pairs = zip(entries, values, strict=True)
        spread = tuple(value for entry, value in pairs if entry.unsigned(5))
        return Record(optional, record.text(1), (*keys, *values), spread)

    def _loop(self, optional: bool, loop: Message) -> Node:
        names = tuple(name for name in (loop.text(1), loop.text(8)) if name)
        source, start, condition, step, result = (
            self.node(loop.raw(field)) for field in (2, 4, 5, 6, 7)
        )
        accumulator = loop.text(3)
        return Loop(
            optional, names, source, accumulator, start, condition, step, result
        )


def _double(constant: Message) -> float:
    (value,) = struct.unpack("<d", constant.raw(5))
    return float(value)


_CONSTANTS: dict[int, Callable[[Message], Scalar]] = {
    1: lambda _: None,
    2: lambda constant: bool(constant.unsigned(2)),
    3: lambda constant: constant.signed(3),
    4: lambda constant: constant.unsigned(4),
    5: _double,
    6: lambda constant: constant.text(6),
    7: lambda constant: constant.raw(7),
}
"""How a constant of each kind is read."""
