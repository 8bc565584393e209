"""Text from a model made whole: halves of surrogate pairs are joined or replaced."""

from __future__ import annotations


class Joining:
    """Texts that come in pieces, which may be cut within a surrogate pair."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """As much as is whole by now."""
        text, self._half = self._half + piece, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]

        return whole(text)


def whole(text: str) -> str:
    """The text with its surrogate pairs joined, and each lone half replaced."""
    if text.isascii():
        return text

    utf16 = text.encode("utf-16-le", "surrogatepass")
    return utf16.decode("utf-16-le", "replace")
