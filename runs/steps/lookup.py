"""Looking things up in knowledge: by a path, or by words; the same for equal input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from contracts import InvalidInput, JsonObject, pointer

_MOST_FOUND = 20
_MOST_LOOKED_AT = 10_000


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
    value = contents
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return

    yield path, value


def _holding(contents: Any, words: list[str]) -> Iterator[tuple[str, Any]]:
    """The smallest places that hold all words, first in the text's own order."""
    looked, waiting = 0, [("", contents)]
    while waiting and looked < _MOST_LOOKED_AT:
        where, value = waiting.pop(0)
        looked += 1
        inner = [
            (f"{where}{pointer([key])}", one)
            for key, one in _inner(value)
            if _holds(key, one, words)
        ]
        if inner:
            waiting[:0] = inner
        elif where and words:
            yield where, value


def _inner(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(n), one) for n, one in enumerate(value))


def _holds(key: str, value: Any, words: list[str]) -> bool:
    text = f"{key} {json.dumps(value, ensure_ascii=False)}".casefold()
    return all(word in text for word in words)
