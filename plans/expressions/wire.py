"""Reads protocol buffer messages by field number, without their schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class Message:
    """The fields of one message; a field that is not there reads as empty or zero."""

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, list[int | bytes]] = {}
        at = 0

        while at < len(data):
            tag, at = _varint(data, at)
            value, at = _WIRE_TYPES[tag & 7](data, at)
            self._values.setdefault(tag >> 3, []).append(value)

    @property
    def fields(self) -> set[int]:
        """The numbers of the fields that are there."""
        return set(self._values)

    def all(self, field: int) -> list[bytes]:
        """Every value of a repeated text, bytes or message field."""
        return [v for v in self._values.get(field, ()) if isinstance(v, bytes)]

    def raw(self, field: int) -> bytes:
        """The bytes of a text, bytes or message field."""
        return (self.all(field) or [b""])[-1]

    def text(self, field: int) -> str:
        """The text of a text field."""
        return self.raw(field).decode()

    def message(self, field: int) -> Message:
        """The message in a message field."""
        return Message(self.raw(field))

    def unsigned(self, field: int) -> int:
        """The value of an unsigned number or boolean field."""
        value = self._values.get(field, [0])[-1]
        return value if isinstance(value, int) else 0

    def signed(self, field: int) -> int:
        """The value of a signed 64-bit field."""
        value = self.unsigned(field)
        return value - 2**64 if value >= 2**63 else value

    def set(self, field: int) -> frozenset[int]:
        """The values of a repeated number field, packed or not."""
        found: list[int] = []

        for value in self._values.get(field, ()):
            found.extend([value] if isinstance(value, int) else _packed(value))

        return frozenset(found)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0

    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _delimited(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _varint(data, at)
    return data[at : at + size], at + size


def _fixed(size: int) -> Callable[[bytes, int], tuple[bytes, int]]:
    return lambda data, at: (data[at : at + size], at + size)


def _packed(data: bytes) -> Iterator[int]:
    at = 0

    while at < len(data):
        value, at = _varint(data, at)
        yield value


_WIRE_TYPES: dict[int, Callable[[bytes, int], tuple[int | bytes, int]]] = {
    0: _varint,
    1: _fixed(8),
    2: _delimited,
    5: _fixed(4),
}
"""How a value of each wire type is read."""
