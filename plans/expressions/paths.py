"""Which members of the variables an expression reads, known before it runs.

The evaluator copies a whole variable on its first use, so only the members that are
read are handed to it. It also cuts text at a NUL; such text is found here first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from plans.expressions.trees import Call, Literal, Loop, Member, Name, Node

Path = tuple[str, ...]
"""A variable and the members below it: ``("start", "name")``."""

EACH = "\0each"
"""Stands in a path for every element of a list; no member has a NUL in its name."""

_NO_MEMBER = "\0none"

Shape = dict[str, "Shape | None"]
"""The members that are read; None where all that is below is read."""

_INDEXING = frozenset("_[_] _?._ _[?_]".split())
_Scope = Mapping[str, Path | None]
"""The names that loops have taken, with the path of what they stand for."""


class Unreadable(Exception):
    """The evaluator would misread this value: a NUL, half a character, not JSON."""


def path_of(node: Node) -> Path | None:
    """The path that is all there is to this expression, or None."""
    match node:
        case Name() | Member(asked=False) | Call(function="_[_]"):
            whole = all(
                path_of(part) or isinstance(part, Literal) for part in node.parts
            )
            return _path_read(node, {}) if whole else None
        case _:
            return None


def _path_read(node: Node, scope: _Scope) -> Path | None:
    """The path that must be there to evaluate the node, if it reads but one."""
    match node:
        case Name(name=name):
            return scope[name] if name in scope else (name.removeprefix("."),)
        case Member(operand=operand, field=field):
            return _below(_path_read(operand, scope), field)
        case Call(function=function, parts=(operand, Literal(value=str(key)))):
            indexed = function in _INDEXING
            return _below(_path_read(operand, scope), key) if indexed else None
        case _:
            return None


def _below(path: Path | None, *members: str) -> Path | None:
    return path and (*path, *members)


def paths_in(node: Node, scope: _Scope | None = None) -> Iterator[Path]:
    """Every path the expression reads, the names of types included."""
    scope = scope or {}
    path = _path_read(node, scope)

    if path is not None:
        yield path
    elif isinstance(node, Loop):
        yield from _paths_in_loop(node, scope)
    else:
        for part in node.parts:
            yield from paths_in(part, scope)


def _paths_in_loop(loop: Loop, scope: _Scope) -> Iterator[Path]:
    source = _path_read(loop.source, scope)
    accumulated = {**scope, loop.accumulator: None}
    inside = {**accumulated, **dict.fromkeys(loop.names, _below(source, EACH))}

    if source is None:
        yield from paths_in(loop.source, scope)
    else:
        yield (*source, EACH, _NO_MEMBER)

    yield from paths_in(loop.start, scope)
    yield from paths_in(loop.condition, inside)
    yield from paths_in(loop.step, inside)
    yield from paths_in(loop.result, accumulated)


def shape_of(paths: Iterable[Path]) -> Shape:
    """The members that these paths read; a path's end is read with all below it."""
    shape: Shape = {}

    for path in sorted(set(paths), key=len):
        _add(shape, path)

    return shape


def _add(shape: Shape, path: Path) -> None:
    """Add a path that is not shorter than the ones before."""
    for member in path[:-1]:
        below = shape.setdefault(member, {})

        if below is None:
            return

        shape = below

    shape[path[-1]] = None


def project(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of ``value`` that the shape names, and no others.

    Raises Unreadable if the evaluator would misread one of them.
    """
    return {
        member: _read(below, value[member])
        for member, below in shape.items()
        if member in value
    }


def _read(below: Shape | None, value: Any) -> Any:
    if type(value) is str:
        return _text(value)

    if type(value) is dict and below is not None and EACH not in below:
        return project(below, value)

    if type(value) is list and below is not None and EACH in below:
        each = below[EACH]
        return [_read(each, element) for element in value]

    if type(value) in (dict, list):
        _inspect(value)

    return value


def _text(text: str) -> str:
    if "\0" in text:
        raise Unreadable

    if not text.isascii():
        _encode(text)

    return text


def _encode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unreadable from error


def _inspect(value: Any) -> None:
    """Raise Unreadable unless a list or dict may be handed over as it is."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unreadable from error

    if "\\u0000" in text or "\\ud" in text:
        _inspect_closely(value)


def _inspect_closely(value: JsonValue) -> None:
    if type(value) is str:
        _text(value)
    elif type(value) is dict:
        for key, below in value.items():
            _text(key)
            _inspect_closely(below)
    elif type(value) is list:
        for below in value:
            _inspect_closely(below)


def follow(path: Path, values: Mapping[str, Any]) -> Any:
    """The value at the end of a path. Raises KeyError if a member is not there."""
    value = values[path[0]]

    for member in path[1:]:
        if type(value) is not dict:
            raise KeyError(member)

        value = value[member]

    return value
