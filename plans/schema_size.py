"""How much a JSON Schema really is, once its references are written out.

Twenty-five short schemas that each refer twice to the next are thirty million.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

MOST_EXPANDED = 100_000
"""How many subschemas a schema may amount to."""

_LONGEST_CHAIN = 200
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_DATA = frozenset("const default enum examples".split())
_SHELVES = frozenset("$defs definitions".split())
_MAPS = frozenset("properties patternProperties dependentSchemas dependencies".split())


class TooLarge(Exception):
    """The schema amounts to more than a schema may."""


def depth(value: Any) -> int:
    """How deep a JSON value nests; a scalar is at 0."""
    level, deepest = [value], -1

    while level:
        level = [below for v in level for below in _below(v)]
        deepest += 1

    return deepest


def nested_ids(schema: Any) -> Iterator[str]:
    """Every ``$id`` of a subschema: it would change what references below it mean."""
    return (
        node["$id"] for node in _nodes(schema) if node is not schema and _has_id(node)
    )


def expanded_size(schema: dict[str, Any]) -> int:
    """How many subschemas it is with references written out, a cycle counted once.

    Raises TooLarge.
    """
    return _Expansion(schema).size(schema, 0)


def _below(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())

    return value if isinstance(value, list) else []


def _has_id(node: dict[str, Any]) -> bool:
    return isinstance(node.get("$id"), str)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema that may be a subschema."""
    if isinstance(value, dict):
        yield value
        value = [v for keyword, v in value.items() if keyword not in _DATA]

    if isinstance(value, list):
        for below in value:
            yield from _nodes(below)


class _Expansion:
    """The sizes of the subschemas of one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._base = urldefrag(str(schema.get("$id", ""))).url
        self._anchored = {
            node[keyword]: node
            for node in _nodes(schema)
            for keyword in _ANCHORS
            if isinstance(node.get(keyword), str)
        }
        self._sizes: dict[int, int] = {}

    def size(self, node: Any, chain: int) -> int:
        if not isinstance(node, dict):
            return 1

        if chain > _LONGEST_CHAIN:
            raise TooLarge

        if id(node) not in self._sizes:
            self._sizes[id(node)] = 1
            self._sizes[id(node)] = self._measured(node, chain + 1)

        return self._sizes[id(node)]

    def _measured(self, node: dict[str, Any], chain: int) -> int:
        below = [*_subschemas(node), *self._targets(node)]
        size = 1 + sum(self.size(part, chain) for part in below)

        if size > MOST_EXPANDED:
            raise TooLarge

        return size

    def _targets(self, node: dict[str, Any]) -> Iterator[Any]:
        for keyword in _REFERENCES:
            if isinstance(node.get(keyword), str):
                yield self._target(node[keyword])

    def _target(self, reference: str) -> Any:
        """What a reference within the schema refers to; None for any other."""
        base, fragment = urldefrag(urljoin(self._base, reference))

        if base != self._base:
            return None

        if fragment and not fragment.startswith("/"):
            return self._anchored.get(fragment)

        return self._pointed(unquote(fragment).split("/")[1:])

    def _pointed(self, steps: list[str]) -> Any:
        value: Any = self._schema

        for step in steps:
            key = step.replace("~1", "/").replace("~0", "~")
            value = _member(value, key)

        return value


def _member(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key)

    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]

    return None


def _subschemas(node: dict[str, Any]) -> Iterator[Any]:
    """The schemas directly below that are applied; those on a shelf are not."""
    for keyword, value in node.items():
        if keyword in _DATA or keyword in _SHELVES:
            continue

        if isinstance(value, list):
            yield from value
        elif isinstance(value, dict):
            yield from value.values() if keyword in _MAPS else [value]
