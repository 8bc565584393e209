"""Which characters names may hold; every name is kept in its NFC form."""

from __future__ import annotations

import unicodedata

from pydantic_core import PydanticCustomError

from contracts.canonical import normal

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset("_ .:/-")


def invisible(text: str) -> str:
    """The first control, format, private or line-breaking character, or nothing."""
    if text.isascii() and text.isprintable():
        return ""

    return next((c for c in text if unicodedata.category(c) in _INVISIBLE), "")


def identifier(text: str) -> str:
    """The NFC form of a text that names something.

    Raises PydanticCustomError ``forbidden_character`` for what cannot be seen.
    """
    found = invisible(text)
    if found:
        raise _forbidden(found)

    return normal(text)


def title(text: str) -> str:
    """The NFC form of a definition's name: letters, digits, ``_ . : / -``, blanks.

    Raises PydanticCustomError: ``forbidden_character`` for other characters,
    ``invalid`` for a first or last one that does not fit, and for two dots.
    """
    name = identifier(text)
    odd = next((c for c in name if c not in _MARKS and not _is_letter(c)), "")
    if odd:
        raise _forbidden(odd)

    if name and not _is_well_formed(name):
        raise PydanticCustomError("invalid", _RULE)

    return name


_RULE = (
    "A name begins with a letter, a digit or _, does not end in a blank, "
    "and holds no two dots in a row"
)


def _is_letter(character: str) -> bool:
    """Whether it is a letter, a mark on one, or a digit, of any script."""
    return character.isalnum() or unicodedata.category(character)[0] in "LMN"


def _is_well_formed(name: str) -> bool:
    begins = name[0] == "_" or name[0].isalnum()
    return begins and not name.endswith(" ") and ".." not in name


def _forbidden(character: str) -> PydanticCustomError:
    return PydanticCustomError(
        "forbidden_character",
        "The character {code_point} may not stand in a name",
        {"code_point": f"U+{ord(character):04X}"},
    )
