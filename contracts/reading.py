"""Reading a model from JSON, with every problem named at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contracts.errors import InvalidInput
from contracts.message import JsonObject
from contracts.problems import Problem

M = TypeVar("M", bound=BaseModel)

_MOST_PROBLEMS = 20
_CODES = {
    "extra_forbidden": "unknown_field",
    "missing": "missing_field",
    "string_too_long": "string_too_long",
    "too_long": "too_many_items",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "number_invalid",
    "literal_error": "invalid",
    "string_pattern_mismatch": "invalid",
    "value_error": "invalid",
}


def read(model: type[M], value: JsonObject | bytes, *, at: str = "") -> M:
    """The model in a JSON object or in the bytes of one.

    ``at`` is the JSON Pointer of the value in what the caller sent.
    Raises InvalidInput: its code is that of the first problem, its details hold
    ``problems``, at most 20.
    """
    try:
        return model.model_validate_json(_bytes(value))
    except ValidationError as error:
        problems = list(_problems(error, model, at))
        raise invalid(problems) from error


def invalid(problems: list[Problem], *, code: str = "") -> InvalidInput:
    """The error that tells these problems; the first one gives code and sentence."""
    first = problems[0]
    where = f"{first.pointer}: " if first.pointer else ""
    return InvalidInput(
        f"{where}{first.message}",
        code=code or first.code,
        details={"problems": [p.model_dump() for p in problems[:_MOST_PROBLEMS]]},
    )


def pointer(parts: tuple[int | str, ...]) -> str:
    """The JSON Pointer of a path."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{part}" for part in escaped)


def nearest(name: str, known: list[str]) -> str:
    """`` Did you mean …?`` for the closest known name, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _bytes(value: JsonObject | bytes) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _problems(
    error: ValidationError, model: type[BaseModel], at: str
) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_context=True):
        yield Problem(
            pointer=at + pointer(_place(detail)),
            code=_code(detail),
            message=_sentence(detail, model),
        )


def _place(detail: ErrorDetails) -> tuple[int | str, ...]:
    """Where it is, without the tags that unions put into a path."""
    parts = detail["loc"]
    tag = detail["type"] == "union_tag_invalid"
    return tuple(p for p in parts if not _is_tag(p)) if not tag else parts


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and ("[" in part or part in _UNION_TAGS)


_UNION_TAGS = {"function-after", "function-before", "function-wrap", "float", "str"}


def _code(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "union_tag_invalid":
        return "node_type_not_allowed"

    if kind == "json_invalid":
        return "json_invalid"

    known = _CODES.get(kind)
    code = known if known is not None else _type_or_invalid(kind)
    return "invalid" if code == "missing_field" else code


def _type_or_invalid(kind: str) -> str:
    return "type_error" if kind.endswith(("_type", "_parsing")) else "invalid"


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] != "extra_forbidden":
        return detail["msg"].removeprefix("Value error, ")

    name = str(detail["loc"][-1])[:64]
    known = sorted(_field_names(model, detail["loc"][:-1]))
    return f"The field {name!r} is not known here.{nearest(name, known)}"


def _field_names(model: type[BaseModel], path: tuple[Any, ...]) -> set[str]:
    names = {f.alias or n for n, f in model.model_fields.items()}
    return names if not path else names | _names_below(model)


def _names_below(model: type[BaseModel]) -> set[str]:
    """All field names a model's JSON Schema mentions: enough for a near match."""
    schema = model.model_json_schema(by_alias=True)
    parts = [schema, *schema.get("$defs", {}).values()]
    return {name for part in parts for name in part.get("properties", {})}
