"""Problems: what is wrong with what was said, all of it in one error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from contracts.errors import InvalidInput
from contracts.message import Message

MOST_PROBLEMS = 20
"""How many problems one error tells if nothing else is said."""

_SHOWN = 64


class Problem(Message):
    """Where it is, its code, and one sentence."""

    pointer: str
    """JSON Pointer into what was said (``/`` for the whole), or ``line:column``."""

    code: str
    """A key of the error table."""

    message: str


def invalid(
    problems: Sequence[Problem], *, code: str = "", most: int = MOST_PROBLEMS
) -> InvalidInput:
    """The error that tells these problems; the first one gives code and sentence.

    Its details hold ``problems``, at most ``most``, and their ``total``.
    """
    first = problems[0]
    where = f"{first.pointer}: " if first.pointer.strip("/") else ""
    told = [problem.model_dump() for problem in problems[:most]]
    return InvalidInput(
        f"{where}{first.message}",
        code=code or first.code,
        details={"problems": told, "total": len(problems)},
    )


def pointer(parts: Iterable[int | str]) -> str:
    """The JSON Pointer of a path, long names cut; ``/`` for the whole."""
    escaped = (_shortened(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{part}" for part in escaped) or "/"


def nearest(name: str, known: Iterable[str]) -> str:
    """`` Did you mean …?`` for the closest known name, or nothing."""
    close = difflib.get_close_matches(name[:_SHOWN], sorted(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def shown(text: str) -> str:
    """A piece of what was said, quoted, harmless and short enough for an error."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN])


def _shortened(part: int | str) -> str:
    return str(part)[:_SHOWN]
