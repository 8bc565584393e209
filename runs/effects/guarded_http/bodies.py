"""A body as it comes in: decoded piece by piece, never beyond its limit."""

from __future__ import annotations

import zlib

from contracts import AnswerUnusable

ENCODINGS = "gzip, deflate"
"""What Accept-Encoding says: what can be decoded."""

_PLAIN = frozenset({"", "identity"})
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER_HEADER = zlib.MAX_WBITS | 32
_NO_HEADER = -zlib.MAX_WBITS


class Body:
    """The decoded bytes so far; ``limit`` bytes at most, decoded and on the wire.

    Each method raises AnswerUnusable: response_too_large, or upstream_invalid for
    an encoding that was not asked for, is broken or stops before its end.
    """

    def __init__(self, encoding: str, *, limit: int, status: int) -> None:
        self._encoding = encoding.strip().lower()
        self._limit = limit
        self._status = status
        self._received = 0
        self._decoded = bytearray()
        self._stream: zlib._Decompress | None = None
        if self._encoding not in _PLAIN | _PACKED:
            raise self._unusable("upstream_invalid")

    def add(self, piece: bytes) -> None:
        """Take the next piece from the wire."""
        self._received += len(piece)
        if self._received > self._limit:
            raise self._unusable("response_too_large")

        if self._encoding in _PLAIN:
            self._decoded += piece
        else:
            self._unpack(piece)

    def whole(self) -> bytes:
        """All of it, when the wire has no more."""
        if self._stream and not self._stream.eof:
            raise self._unusable("upstream_invalid")

        return bytes(self._decoded)

    def _unpack(self, piece: bytes) -> None:
        while piece:
            if self._stream is None or self._stream.eof:
                self._stream = zlib.decompressobj(self._window(piece))

            self._decoded += self._next(self._stream, piece)
            if len(self._decoded) > self._limit:
                raise self._unusable("response_too_large")

            piece = self._stream.unconsumed_tail or self._stream.unused_data

    def _next(self, stream: zlib._Decompress, piece: bytes) -> bytes:
        """At most one byte more than there is room for."""
        try:
            return stream.decompress(piece, self._limit - len(self._decoded) + 1)
        except zlib.error as error:
            raise self._unusable("upstream_invalid") from error

    def _window(self, piece: bytes) -> int:
        """Some servers say deflate and leave out its header."""
        bare = self._encoding == "deflate" and piece[0] & 0x0F != zlib.DEFLATED
        return _NO_HEADER if bare else _EITHER_HEADER

    def _unusable(self, code: str) -> AnswerUnusable:
        return AnswerUnusable(code=code, status=self._status)
