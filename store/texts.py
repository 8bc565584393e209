"""JSON values as text and back, to the byte as pydantic writes them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from contracts import JsonObject

_JSON = TypeAdapter[JsonObject](JsonObject)
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def json_of(value: Any) -> str:
    """A plain JSON value as text."""
    return _ANY.dump_json(value).decode()


def object_of(text: str) -> JsonObject:
    """The JSON object of a text. Raises ValueError if it is none."""
    return _JSON.validate_json(text)


def with_fields(body: str, /, **fields: str) -> str:
    """The text of an object, its fields followed by these, each given as JSON."""
    more = "".join(f',"{name}":{text}' for name, text in fields.items())
    return f"{body[:-1]}{more}}}"
