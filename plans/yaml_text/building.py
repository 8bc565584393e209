"""Building a plain value from YAML events, so that no limit is noticed too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.events import (
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from contracts import LIMITS, InvalidInput
from plans.yaml_text.events import events_of, refused
from plans.yaml_text.scalars import NotANumber, OutOfRange, plain_scalar

_MERGE_KEY = "<<"
_SHOWN = 64


def built(text: str) -> Any:
    """The value of the one document; None if there is none.

    Raises InvalidInput with a code of the YAML kind and the place.
    """
    builder = _Builder()
    for event in events_of(text):
        builder.take(event)

    return builder.documents[0] if builder.documents else None


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that has not ended."""

    value: dict[str, Any] | list[Any]
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)


class _Builder:
    """Puts the value together, event by event."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self._open: list[_Open] = []
        self._nodes = 0
        self._on: dict[type[Event], Callable[[Any], None]] = {
            DocumentStartEvent: self._begin_document,
            MappingStartEvent: lambda event: self._begin(event, {}),
            SequenceStartEvent: lambda event: self._begin(event, []),
            ScalarEvent: self._scalar,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
        }

    def take(self, event: Event) -> None:
        """Take the next event in."""
        act = self._on.get(type(event))
        if act is not None:
            act(event)

    def _begin_document(self, event: Event) -> None:
        if self.documents:
            raise _wrong("yaml_invalid", event, "There is more than one document.")

    def _begin(self, event: Event, made: dict[str, Any] | list[Any]) -> None:
        self._count(event)
        limit = LIMITS["json_depth"]
        if len(self._open) >= limit:
            message = f"The YAML is nested deeper than {limit} levels."
            raise _wrong("yaml_too_large", event, message)

        self._put(made, event)
        self._open.append(_Open(made))

    def _end(self, _: Event) -> None:
        self._open.pop()

    def _scalar(self, event: ScalarEvent) -> None:
        self._count(event)
        limit = LIMITS["yaml_scalar_chars"]
        if len(event.value) > limit:
            message = f"A scalar has more than {limit} characters."
            raise _wrong("yaml_too_large", event, message)

        self._put(_text(event) if event.style else _plain(event), event)

    def _count(self, event: Event) -> None:
        self._nodes += 1
        limit = LIMITS["yaml_nodes"]
        if self._nodes > limit:
            message = f"The YAML has more than {limit} nodes."
            raise _wrong("yaml_too_large", event, message)

    def _put(self, value: Any, event: Event) -> None:
        """Put a value where it belongs: it is a key, or what a key stands for."""
        if not self._open:
            self.documents.append(value)
            return

        inner = self._open[-1]
        if isinstance(inner.value, list):
            inner.value.append(value)
        elif inner.key is None:
            inner.key = _key(value, event, inner)
        else:
            inner.value[inner.key] = value
            inner.key = None


def _key(value: Any, event: Event, inner: _Open) -> str:
    if not isinstance(value, str):
        raise _wrong("yaml_key_not_text", event)

    if value == _MERGE_KEY and isinstance(event, ScalarEvent) and not event.style:
        raise _wrong("yaml_merge_not_allowed", event)

    line = event.start_mark.line + 1
    first = inner.lines.setdefault(value, line)
    if value in inner.value:
        message = f"The key {value[:_SHOWN]!a} stands on lines {first} and {line}."
        raise _wrong("yaml_duplicate_key", event, message)

    return value


def _plain(event: ScalarEvent) -> Any:
    try:
        return plain_scalar(event.value)
    except NotANumber as error:
        raise _wrong("number_invalid", event) from error
    except OutOfRange as error:
        raise _wrong("number_out_of_range", event) from error


def _text(event: ScalarEvent) -> str:
    """The text, with escaped surrogates put together as JSON has them."""
    text: str = event.value
    if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text):
        return text

    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError as error:
        message = "A text holds half of a surrogate pair."
        raise _wrong("yaml_invalid", event, message) from error


def _wrong(code: str, event: Event, message: str = "") -> InvalidInput:
    return refused(code, message, event.start_mark)
