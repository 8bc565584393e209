"""Query parameters: only the known ones, each once and in its range."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Literal

from aiohttp import web

from contracts import ID_PATTERN, LIMITS, InvalidInput, Timestamp, nearest, stamp

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
_ID = re.compile(ID_PATTERN)
_NAME_CHARACTERS = 100


def only(request: web.Request, known: Collection[str]) -> None:
    """Raise ``unknown_parameter`` for a query parameter the route lacks.

    One that stands twice is ``invalid``.
    """
    for name in request.query:
        if name not in known:
            raise InvalidInput(
                f"The query parameter {name[:64]!r} is not known here."
                f"{nearest(name, known)}",
                code="unknown_parameter",
            )

        if len(request.query.getall(name)) > 1:
            raise InvalidInput(f"The query parameter {name} stands twice.")


def text(request: web.Request, name: str) -> str | None:
    """A parameter as text; None if it is not given."""
    return request.query.get(name)


def integer(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A parameter as an integer. Raises ``not_an_integer``, ``out_of_range``."""
    given = request.query.get(name)
    if given is None:
        return default

    if not _INTEGER.fullmatch(given):
        raise InvalidInput(f"{name} must be an integer.", code="not_an_integer")

    number = int(given)
    if not low <= number <= high:
        raise InvalidInput(f"{name} must be {low} to {high}.", code="out_of_range")

    return number


def seconds(request: web.Request, name: str, default: float) -> float:
    """A time to wait in seconds, at most 60."""
    given = request.query.get(name)
    if given is None:
        return default

    if not _NUMBER.fullmatch(given):
        raise InvalidInput(f"{name} must be a number of seconds.", code="type_error")

    number, most = float(given), LIMITS["wait_seconds"]
    if not 0 < number <= most:
        raise InvalidInput(
            f"{name} must be above 0 and at most {most}.", code="out_of_range"
        )

    return number


def limit(request: web.Request) -> int:
    """How many items a page has: 1 to 200, 50 by default."""
    return integer(
        request, "limit", LIMITS["page_items_default"], 1, LIMITS["page_items"]
    )


def flag(request: web.Request, name: str) -> bool:
    """A parameter that is ``true`` or ``false``; false if it is not given."""
    return choice(request, name, ("true", "false")) == "true"


def choice(request: web.Request, name: str, choices: Collection[str]) -> str | None:
    """A parameter that is one of some words; None if it is not given."""
    given = request.query.get(name)
    if given is not None and given not in choices:
        raise InvalidInput(
            f"{name} must be one of {', '.join(choices)}.{nearest(given, choices)}"
        )

    return given


def order(
    request: web.Request, default: Literal["asc", "desc"]
) -> Literal["asc", "desc"]:
    """The order of a list."""
    given = choice(request, "order", ("asc", "desc")) or default
    return "asc" if given == "asc" else "desc"


def moment(request: web.Request, name: str) -> Timestamp | None:
    """A parameter that is a time with its zone; None if it is not given."""
    given = request.query.get(name)
    if given is None:
        return None

    try:
        found = datetime.fromisoformat(given)
        if found.tzinfo is not None:
            return stamp(found)
    except (ValueError, OverflowError):
        pass

    raise InvalidInput(f"{name} must be a time like 2026-11-21T03:54:40Z.")


def an_id(given: str, prefix: str) -> str:
    """An id of this kind. Raises ``invalid_id`` showing the form."""
    if not _ID.fullmatch(given) or not given.startswith(f"{prefix}_"):
        raise InvalidInput(
            f"An id here is {prefix}_ and 26 characters 0-9 a-z without i, l, o, u.",
            code="invalid_id",
        )

    return given


def a_name(given: str) -> str:
    """A name of a definition, or its id. Raises ``invalid_id``."""
    if not given or len(given) > _NAME_CHARACTERS or not given.isprintable():
        raise InvalidInput(
            f"A name has 1 to {_NAME_CHARACTERS} printable characters.",
            code="invalid_id",
        )

    if given in (".", "..") or "/" in given or "\\" in given:
        raise InvalidInput("A name has no path in it.", code="invalid_id")

    return given
