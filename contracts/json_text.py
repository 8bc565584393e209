"""Reading JSON from bytes, strictly: what could be read in two ways is refused.

Refused are repeated keys, other encodings than UTF-8, lone surrogates, NaN and
infinities, numbers that cannot be kept exactly, and more than the limits allow.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import JsonValue

from contracts.errors import CODES, InvalidInput
from contracts.limits import LIMITS
from contracts.problems import Problem, invalid, pointer, shown

_BLANKS = re.compile(r"[ \t\n\r]*")
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LARGEST = LIMITS["largest_integer"]
_MOST_DIGITS = len(str(-_LARGEST))


def read_json(data: bytes, *, max_bytes: int = LIMITS["body_bytes"]) -> JsonValue:
    """The one JSON value in these bytes.

    Raises InvalidInput with the place: a JSON Pointer or ``line:column``.
    """
    if len(data) > max_bytes:
        raise _refused("body_too_large", f"The body is larger than {max_bytes} bytes.")

    text = _decoded(data)
    value = _parsed(text)
    if _may_pass_limits(text):
        _check_limits(value)

    _check_surrogates(text, value)
    return value


def read_json_text(text: str) -> JsonValue:
    """The one JSON value in this text, as strictly. Raises InvalidInput."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        message = "The text holds half of a surrogate pair."
        raise _refused("json_invalid", message) from error

    return read_json(data)


def _decoded(data: bytes) -> str:
    if data.startswith(_BYTE_ORDER_MARKS):
        raise _refused("json_not_utf8", "The body starts with a byte order mark.")

    if b"\x00" in data[:2]:
        raise _refused("json_not_utf8", "The body looks like UTF-16 or UTF-32.")

    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"The byte at offset {error.start} is not UTF-8."
        raise _refused("json_not_utf8", message) from error


def _parsed(text: str) -> JsonValue:
    value: JsonValue
    try:
        value, end = _DECODER.raw_decode(text, _after_blanks(text, 0))
    except json.JSONDecodeError as error:
        message = f"The body is not valid JSON: {error.msg}."
        raise _refused("json_invalid", message, _line(text, error.pos)) from error
    except RecursionError as error:
        raise _too_deep("/") from error

    end = _after_blanks(text, end)
    if end < len(text):
        raise _refused("json_trailing_data", place=_line(text, end))

    return value


def _after_blanks(text: str, start: int) -> int:
    blanks = _BLANKS.match(text, start)
    return blanks.end() if blanks else start


def _line(text: str, position: int) -> str:
    """``line:column``, both from 1."""
    line = text.count("\n", 0, position) + 1
    return f"{line}:{position - text.rfind(chr(10), 0, position)}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _refused("json_duplicate_key", f"The key {shown(twice)} stands twice.")

    return made


def _integer(digits: str) -> int:
    if len(digits) <= _MOST_DIGITS and -_LARGEST <= int(digits) <= _LARGEST:
        return int(digits)

    message = f"The integer {shown(digits)} is beyond ±{_LARGEST}."
    raise _refused("number_out_of_range", message)


def _float(digits: str) -> float:
    number = float(digits)
    if number - number == 0:
        return number

    raise _refused("number_out_of_range", f"The number {shown(digits)} is too large.")


def _constant(name: str) -> float:
    raise _refused("json_invalid", f"{name} is not a JSON number.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def _check_surrogates(text: str, value: JsonValue) -> None:
    """Refuse halves of pairs, which only an escape can bring in."""
    if "\\ud" not in text and "\\uD" not in text:
        return

    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        message = "A text holds half of a surrogate pair."
        raise _refused("json_invalid", message) from error


class _Found(NamedTuple):
    """A value with its place and the number of containers around it."""

    value: Any
    parent: _Found | None
    key: int | str
    depth: int

    @property
    def place(self) -> str:
        """The JSON Pointer of the value."""
        parts: list[int | str] = []
        here = self
        while here.parent is not None:
            parts.append(here.key)
            here = here.parent

        return pointer(reversed(parts))


def _may_pass_limits(text: str) -> bool:
    """Whether a text is long or nested enough for a closer look."""
    if len(text) > min(LIMITS["json_keys"], LIMITS["json_items"]):
        return True

    return text.count("[") + text.count("{") > LIMITS["json_depth"]


def _check_limits(value: JsonValue) -> None:
    keys = items = 0
    for found in _walk(value):
        _check_one(found)
        keys += len(found.value) if isinstance(found.value, dict) else 0
        items += len(found.value) if isinstance(found.value, list) else 0
        if keys > LIMITS["json_keys"] or items > LIMITS["json_items"]:
            raise _too_many(found.place)


def _walk(value: JsonValue) -> Iterator[_Found]:
    """Every value, without recursion; nothing inside one before it was taken."""
    waiting = [_Found(value, None, "", 0)]
    while waiting:
        found = waiting.pop()
        yield found
        depth = found.depth + 1
        waiting += [_Found(v, found, k, depth) for k, v in _inside(found.value)]


def _inside(value: JsonValue) -> Iterator[tuple[int | str, JsonValue]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _check_one(found: _Found) -> None:
    nested = isinstance(found.value, dict | list)
    if nested and found.depth >= LIMITS["json_depth"]:
        raise _too_deep(found.place)

    limit = LIMITS["text_chars"]
    if isinstance(found.value, str) and len(found.value) > limit:
        message = f"The text is longer than {limit} characters."
        raise _refused("string_too_long", message, found.place)


def _too_deep(place: str) -> InvalidInput:
    message = f"The body is nested deeper than {LIMITS['json_depth']} levels."
    return _refused("json_too_deep", message, place)


def _too_many(place: str) -> InvalidInput:
    keys, items = LIMITS["json_keys"], LIMITS["json_items"]
    message = f"The body has more than {keys} keys or {items} items."
    return _refused("too_many_items", message, place)


def _refused(code: str, message: str = "", place: str = "/") -> InvalidInput:
    sentence = message or CODES[code].sentence
    return invalid([Problem(pointer=place, code=code, message=sentence)])
