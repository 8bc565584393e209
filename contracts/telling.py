"""Telling: the code and the sentence for what the validator says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from pydantic_core import ErrorDetails

from contracts.characters import invisible
from contracts.errors import CODES
from contracts.ids import ID_PATTERN
from contracts.places import Place, fields_of
from contracts.problems import nearest, shown

Source = Literal["json", "yaml"]
"""What a value was written in; YAML may have made a number of somebody's text."""

Told = tuple[str, str]
"""A key of the error table, and one sentence."""

_CODES = {
    "finite_number": "number_invalid",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "int_from_float": "type_error",
    "int_parsing_size": "number_out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "too_long": "too_many_items",
}
_DURATION = re.compile(r"P[\dT].*|[-+]?\d[\d.]*(e[-+]?\d+)? *[a-z]+", re.IGNORECASE)


def told(detail: ErrorDetails, place: Place, source: Source) -> Told:
    """What is wrong, with no more of the input than 64 characters."""
    kind = detail["type"]
    special = _SPECIAL.get(kind)
    found = special(detail, place, source) if special else None
    return found or (_code(kind), _sentence(detail))


def tag_field(detail: ErrorDetails) -> str:
    """The field that says which member of a union is meant, if the error is in it."""
    is_tag = detail["type"] in ("union_tag_invalid", "union_tag_not_found")
    return str(detail["ctx"]["discriminator"]).strip("'") if is_tag else ""


def is_mismatch(kind: str) -> bool:
    """Whether the value is of another kind altogether, whatever it holds."""
    return kind.endswith("_type") or kind == "literal_error"


def _code(kind: str) -> str:
    if kind in CODES:
        return kind

    fallback = "type_error" if kind.endswith(("_type", "_parsing")) else "invalid"
    return _CODES.get(kind, fallback)


def _sentence(detail: ErrorDetails) -> str:
    text = detail["msg"].removeprefix("Value error, ")
    end = "" if text.endswith((".", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _unknown_field(_: ErrorDetails, place: Place, __: Source) -> Told:
    name = str(place.path[-1])
    hint = nearest(name, fields_of(place.owner)) if place.owner else ""
    return "unknown_field", f"The field {shown(name)} is not known here.{hint}"


def _missing(_: ErrorDetails, place: Place, __: Source) -> Told:
    return "invalid", f"The field {place.path[-1]} is missing."


def _missing_tag(detail: ErrorDetails, _: Place, __: Source) -> Told:
    return "invalid", f"The field {tag_field(detail)} is missing."


def _unknown_tag(detail: ErrorDetails, _: Place, __: Source) -> Told:
    tag, tags = str(detail["ctx"]["tag"]), str(detail["ctx"]["expected_tags"])
    known = tags.replace("'", "").split(", ")
    sentence = f"There is no {shown(tag)} here, only {', '.join(known)}."
    return "node_type_not_allowed", sentence + nearest(tag, known)


def _text_due(detail: ErrorDetails, _: Place, source: Source) -> Told | None:
    value = detail["input"]
    if source == "json" or type(value) not in (bool, int, float):
        return None

    if isinstance(value, bool):
        return "type_error", "Text is due here, and YAML reads a boolean; quote it."

    return "ambiguous_number", "Text is due here, and YAML reads a number; quote it."


def _number_due(detail: ErrorDetails, place: Place, _: Source) -> Told | None:
    value = detail["input"]
    if not place.names_seconds or not isinstance(value, str):
        return None

    is_duration = _DURATION.fullmatch(value[:32])
    return (
        ("out_of_range", "A duration is a number of seconds.") if is_duration else None
    )


def _pattern_due(detail: ErrorDetails, _: Place, __: Source) -> Told | None:
    if detail["ctx"]["pattern"] == ID_PATTERN:
        return "invalid_id", f"An id matches {ID_PATTERN}."

    if invisible(str(detail["input"])):
        return "forbidden_character", CODES["forbidden_character"].sentence

    return None


_SPECIAL: dict[str, Callable[[ErrorDetails, Place, Source], Told | None]] = {
    "extra_forbidden": _unknown_field,
    "missing": _missing,
    "union_tag_invalid": _unknown_tag,
    "union_tag_not_found": _missing_tag,
    "string_type": _text_due,
    "string_pattern_mismatch": _pattern_due,
    "int_type": _number_due,
    "float_type": _number_due,
}
