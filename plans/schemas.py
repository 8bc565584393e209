"""JSON Schema: schemas compiled once, and all that is wrong with a value.

Without ``$schema`` it is draft 2020-12. A schema never makes anything be fetched,
and none is taken whose references make it endless.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, NoReturn

import jsonschema_rs
from jsonschema_rs import ValidationError
from pydantic import JsonValue

from contracts import InvalidInput, JsonObject, Problem, canonical, digest_of, pointer
from plans.schema_size import TooLarge, depth, expanded_size, nested_ids

SCHEMA_BYTES = 262_144
"""How large a schema may be, as canonical JSON."""

SCHEMA_DEPTH = 64
"""How deep a schema may nest."""

SCHEMAS_KEPT = 1_024
"""How many compiled schemas are kept for the next asker."""

MOST_PROBLEMS = 20
"""How many problems of one value are told."""

_SMALL = 5_000
_SHOWN = 64


class Schema:
    """One compiled JSON Schema."""

    def __init__(self, source: JsonObject, digest: str) -> None:
        self.source = source
        self.digest = digest
        self._validator = _validator(source)

    def problems(self, value: JsonValue) -> list[Problem]:
        """What is wrong with a value, at most 20 problems; empty if it is valid.

        Of a value of more than 5,000 parts only the first problem is told.
        """
        try:
            if self._validator.is_valid(value):
                return []

            found = list(islice(self._found(value), MOST_PROBLEMS))
        except ValueError:
            return [_problem([], "type_error", "The value is not plain JSON.")]

        return found

    def _found(self, value: JsonValue) -> Iterator[Problem]:
        for error in self._errors(value):
            yield from _problems_of(error)

    def _errors(self, value: JsonValue) -> Iterable[ValidationError]:
        """The errors; the library makes all of them before it gives the first."""
        if _is_small(value):
            return self._validator.iter_errors(value)

        try:
            self._validator.validate(value)
        except ValidationError as error:
            return [error]

        return []


def compile_schema(schema: JsonObject) -> Schema:
    """The compiled schema; kept by its digest for the next asker.

    Raises InvalidInput (schema_invalid): not a valid schema, a reference to what is
    not in it, an ``$id`` below the top, or beyond the limits.
    """
    if depth(schema) > SCHEMA_DEPTH:
        raise _invalid(f"The schema nests deeper than {SCHEMA_DEPTH}.")

    text = _canonical(schema)

    if len(text) > SCHEMA_BYTES:
        raise _invalid(f"The schema is larger than {SCHEMA_BYTES} bytes.")

    return _compiled(_Keyed(digest_of(text), text))


def _canonical(schema: JsonObject) -> bytes:
    try:
        return canonical(schema)
    except InvalidInput as error:
        raise _invalid("The schema is not plain JSON.") from error


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A schema's canonical text, known by its digest."""

    digest: str
    text: bytes = field(compare=False)


@lru_cache(maxsize=SCHEMAS_KEPT)
def _compiled(keyed: _Keyed) -> Schema:
    schema = json.loads(keyed.text)
    _admit(schema)
    return Schema(schema, keyed.digest)


def _admit(schema: JsonObject) -> None:
    if next(nested_ids(schema), None) is not None:
        raise _invalid("An $id may only stand at the top of a schema.")

    try:
        expanded_size(schema)
    except TooLarge as error:
        raise _invalid("The schema's references make it too large.") from error


def _validator(schema: JsonObject) -> jsonschema_rs.Validator:
    """The validator, once the schema is valid by its own meta-schema."""
    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse_to_fetch)
    except ValidationError as error:
        raise _invalid(_why_invalid(error)) from error
    except ValueError as error:
        raise _invalid("The schema cannot be read.") from error


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise PermissionError(uri)


def _why_invalid(error: ValidationError) -> str:
    if error.instance_path:
        return f"The schema is not valid at {pointer(error.instance_path)[:_SHOWN]}."

    return "The schema is not valid, or refers to what is not in it."


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="schema_invalid")


def _is_small(value: JsonValue) -> bool:
    """Whether the value has few enough parts for all its errors to be made."""
    parts, count = [value], 0

    while parts and count < _SMALL:
        part = parts.pop()
        count += 1
        if isinstance(part, dict):
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)

    return not parts


def _problems_of(error: ValidationError) -> Iterator[Problem]:
    facts = error.kind.as_dict()

    if "unexpected" in facts:
        yield from _unexpected(error.instance_path, facts["unexpected"])
        return

    code, tell = _TOLD.get(error.kind.name, ("invalid", _breach(error.kind.name)))
    yield _problem(error.instance_path, code, tell(facts))


def _unexpected(path: list[str | int], names: list[Any]) -> Iterator[Problem]:
    for name in islice(names, MOST_PROBLEMS):
        message = f"The field {_shown(name)} is not known here."
        yield _problem([*path, str(name)], "unknown_field", message)


def _problem(path: list[str | int], code: str, message: str) -> Problem:
    return Problem(pointer=pointer(path), code=code, message=message)


def _shown(value: Any) -> str:
    return json.dumps(value)[:_SHOWN]


Tell = Callable[[dict[str, Any]], str]
"""Makes the sentence of what the library knows of an error."""


def _breach(keyword: str) -> Tell:
    return lambda _: f"The value breaks {keyword}."


def _bound(sentence: str) -> Tell:
    return lambda facts: f"The value {sentence} {facts['limit']}."


_TOLD: dict[str, tuple[str, Tell]] = {
    "type": (
        "type_error",
        lambda facts: f"The value must be of type {' or '.join(facts['types'])}.",
    ),
    "required": (
        "invalid",
        lambda facts: f"The field {_shown(facts['property'])} is missing.",
    ),
    "enum": (
        "invalid",
        lambda facts: f"The value must be one of {_shown(facts['options'])}.",
    ),
    "const": (
        "invalid",
        lambda facts: f"The value must be {_shown(facts['expected_value'])}.",
    ),
    "pattern": (
        "invalid",
        lambda facts: f"The text must match {_shown(facts['pattern'])}.",
    ),
    "multipleOf": (
        "out_of_range",
        lambda facts: f"The value must be a multiple of {facts['multiple_of']}.",
    ),
    "falseSchema": ("invalid", lambda _: "Nothing may stand here."),
    "uniqueItems": ("invalid", lambda _: "The items must differ."),
    "maxLength": ("string_too_long", _bound("has more characters than")),
    "minLength": ("invalid", _bound("has fewer characters than")),
    "maxItems": ("too_many_items", _bound("has more items than")),
    "minItems": ("invalid", _bound("has fewer items than")),
    "maxProperties": ("too_many_items", _bound("has more fields than")),
    "minProperties": ("invalid", _bound("has fewer fields than")),
    "maximum": ("out_of_range", _bound("must be at most")),
    "minimum": ("out_of_range", _bound("must be at least")),
    "exclusiveMaximum": ("out_of_range", _bound("must be below")),
    "exclusiveMinimum": ("out_of_range", _bound("must be above")),
}
"""The code and the sentence for a breach of each keyword."""
