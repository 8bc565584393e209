"""Reading a model from JSON, with every problem named at once."""

from __future__ import annotations

import json
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from contracts.errors import InvalidInput
from contracts.json_text import read_json
from contracts.places import Path, place
from contracts.problems import Problem, invalid, pointer
from contracts.telling import Source, is_mismatch, tag_field, told

_M = TypeVar("_M", bound=BaseModel)

_MOST_READ = 1_000
_JSON = json.JSONEncoder(allow_nan=False)


def read(
    model: type[_M],
    value: JsonValue | bytes,
    *,
    at: str = "",
    source: Source = "json",
) -> _M:
    """The model in a JSON value or in the bytes of one.

    ``at`` is the JSON Pointer of the value in what the caller sent.
    Raises InvalidInput: its code is that of the first problem, its details hold
    ``problems``, at most 20.
    """
    try:
        return model.model_validate_json(_as_bytes(value))
    except ValidationError as error:
        raise invalid(problems_of(error, model, at, source)) from error


def problems_of(
    error: ValidationError, model: type[BaseModel], at: str, source: Source
) -> list[Problem]:
    """Everything that keeps a value from being this model, at most 1,000."""
    details = error.errors(include_url=False)[:_MOST_READ]
    places = [place(model, detail["loc"]) for detail in details]
    found = [
        _Found(
            kind=detail["type"],
            path=where.path + ((tag_field(detail),) if tag_field(detail) else ()),
            union=where.union,
            at_member=where.at_member,
            told=told(detail, where, source),
        )
        for detail, where in zip(details, places, strict=True)
    ]
    return [one.problem(at) for one in _worth_telling(found)]


class _Found(NamedTuple):
    """An error of the validator, placed and told."""

    kind: str
    path: Path
    union: Path | None
    at_member: bool
    told: tuple[str, str]

    @property
    def is_other_member(self) -> bool:
        """Whether it only says that another member of a union was meant."""
        return self.at_member and is_mismatch(self.kind)

    def problem(self, at: str) -> Problem:
        code, sentence = self.told
        where = at + pointer(self.path) if self.path else at or "/"
        return Problem(pointer=where, code=code, message=sentence)


def _worth_telling(found: list[_Found]) -> list[_Found]:
    """Without what follows from the rest.

    That is a list emptied by its bad items, and the members of a union that the
    value was not meant to be.
    """
    above = {one.path[:n] for one in found for n in range(len(one.path))}
    fitting = {one.union for one in found if not one.is_other_member}
    kept: list[_Found] = []
    for one in found:
        follows = one.kind == "too_short" and one.path in above
        if follows or (one.is_other_member and one.union in fitting):
            continue

        if one.is_other_member:
            fitting.add(one.union)

        kept.append(one)

    return kept


def _as_bytes(value: JsonValue | bytes) -> bytes:
    if isinstance(value, bytes):
        read_json(value, max_bytes=len(value))
        return value

    try:
        return _JSON.encode(value).encode()
    except ValueError as error:
        raise InvalidInput(code="number_invalid") from error
    except RecursionError as error:
        raise InvalidInput(code="json_too_deep") from error
