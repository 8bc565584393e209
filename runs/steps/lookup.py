"""Looking things up in knowledge: by a path, or by words; the same for equal input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from contracts import InvalidInput, JsonObject, pointer
from contracts.problems import shown

_MOST_FOUND = 20
_INDEX = re.compile(r"(0|[1-9][0-9]{0,8})\Z")


def look_up(contents: JsonObject, query: JsonObject) -> JsonObject:
    """What a query finds: ``{"items": [{"path", "value"}], "count"}``, at most 20.

    ``path`` (a JSON Pointer) is one place; ``text`` finds the places whose key or text
    holds all its words, in their order, whatever their case; nothing finds the top.
    Raises InvalidInput for a query of another kind.
    """
    unknown = query.keys() - {"path", "text"}
    if unknown:
        raise InvalidInput(
            f"A query has path or text, not {', '.join(sorted(unknown))}."
        )

    path, text = query.get("path"), query.get("text")
    if path is not None:
        found = list(_at(contents, str(path)))
    elif text is not None:
        found = [*_holding(contents, str(text).casefold().split())]
    else:
        found = [(pointer([key]), value) for key, value in contents.items()]

    items = [{"path": where, "value": value} for where, value in found[:_MOST_FOUND]]
    return {"items": items, "count": len(found)}


def _at(contents: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path and not path.startswith("/"):
        raise InvalidInput(f"A path begins with a slash, as /{shown(path)} does.")

    value = contents
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _INDEX.match(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return

    yield path, value


def _holding(contents: JsonObject, words: list[str]) -> Iterator[tuple[str, Any]]:
    """The smallest places that hold all words, in the order of the contents."""
    for key, value in contents.items() if words else ():
        _, found = _search(_Place(pointer([key]), key, value), words)
        yield from found


class _Place(NamedTuple):
    where: str
    key: str
    value: Any


def _search(
    place: _Place, words: list[str]
) -> tuple[frozenset[str], list[tuple[str, Any]]]:
    """The words that a place holds, and the smallest places within that hold all."""
    held = _words_in(place.key, words)
    found: list[tuple[str, Any]] = []
    for inner in _inner(place):
        its, smaller = _search(inner, words)
        held |= its
        found += smaller

    if not isinstance(place.value, dict | list):
        held |= _words_in(_text(place.value), words)

    if not found and held.issuperset(words):
        found = [(place.where, place.value)]

    return held, found


def _inner(place: _Place) -> Iterator[_Place]:
    value = place.value
    if isinstance(value, dict):
        pairs: Iterable[tuple[str, Any]] = value.items()
    elif isinstance(value, list):
        pairs = ((str(n), one) for n, one in enumerate(value))
    else:
        pairs = ()

    for key, one in pairs:
        yield _Place(f"{place.where}{pointer([key])}", key, one)


def _words_in(text: str, words: list[str]) -> frozenset[str]:
    folded = text.casefold()
    return frozenset(word for word in words if word in folded)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
