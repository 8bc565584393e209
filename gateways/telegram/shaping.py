"""Replies as Telegram takes them: text, entities, and parts that are not too long.

Markdown is read leniently. Images and links become their text: nothing that a model
wrote is fetched by a client of its own accord. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import regex

from gateways.telegram.texts import MOST_UNITS, units

if TYPE_CHECKING:
    from telegramify_markdown import MessageEntity

_GRAPHEME = regex.compile(r"\X")
_LINKS = frozenset({"text_link"})


class Part(NamedTuple):
    """One message: its text and the entities in it, offsets in UTF-16 units."""

    text: str
    entities: list[dict[str, Any]]


def parts_of(markdown: str, most: int = MOST_UNITS) -> list[Part]:
    """A reply in messages of at most ``most`` units; none for an empty one.

    No grapheme is cut; an entity that passes an edge goes on in the next part. Texts of
    the parts, joined, are the whole text, if no single grapheme is longer than a part.
    """
    text, entities = _rendered(markdown)
    # what only formats may render to nothing; then the text goes as it was written
    if not text.strip():
        text, entities = markdown, []

    kept = [one for one in entities if one.type not in _LINKS]
    return [
        Part(piece, _clipped(kept, start, units(piece)))
        for start, piece in _pieces(text, most)
        if piece.strip()
    ]


def _rendered(markdown: str) -> tuple[str, list[MessageEntity]]:
    """Without pictures before headings and links."""
    # it takes a service without a bot 2 MB and a moment at its start
    from telegramify_markdown import RenderConfig, convert  # noqa: PLC0415

    config = RenderConfig.isolated()
    symbols = config.markdown_symbol
    for name in vars(symbols):
        if name.startswith("heading") or name in ("image", "link"):
            setattr(symbols, name, "")

    return convert(markdown, latex_escape=False, config=config)


def _pieces(text: str, most: int) -> list[tuple[int, str]]:
    """Pieces with their offsets: each ends at a line, a space, or a grapheme."""
    pieces: list[tuple[int, str]] = []
    start, held, size = 0, list[str](), 0
    for grapheme in _short_graphemes(text, most):
        length = units(grapheme)
        if size + length > most:
            cut = _cut(held)
            piece = "".join(held[:cut])
            pieces.append((start, piece))
            start += units(piece)
            held = held[cut:]
            size = units("".join(held))

        held.append(grapheme)
        size += length

    return [*pieces, (start, "".join(held))] if held else pieces


def _short_graphemes(text: str, most: int) -> list[str]:
    """Graphemes; one that no message could hold falls into its characters."""
    found: list[str] = []
    for grapheme in _GRAPHEME.findall(text):
        found += [grapheme] if units(grapheme) <= most else [*grapheme]

    return found


def _cut(held: list[str]) -> int:
    """Where to part: after the last line, else after the last space, in its half."""
    for blank in ("\n", " "):
        for n in range(len(held) - 1, len(held) // 2, -1):
            if held[n] == blank:
                return n + 1

    return len(held)


def _clipped(
    entities: list[MessageEntity], start: int, length: int
) -> list[dict[str, Any]]:
    """The entities within a piece, their offsets counted from its start."""
    found: list[dict[str, Any]] = []
    for one in entities:
        first = max(one.offset, start)
        last = min(one.offset + one.length, start + length)
        if first < last:
            told = dict(one.to_dict())
            found.append({**told, "offset": first - start, "length": last - first})

    return found
