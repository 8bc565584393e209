"""Query parameters: only the known ones, each in its range."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from aiohttp import web

from contracts import ID_PATTERN, LIMITS, InvalidInput, nearest

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_ID = re.compile(ID_PATTERN)
_NAME_CHARACTERS = 100


def only(request: web.Request, known: Iterable[str]) -> None:
    """Raise ``unknown_parameter`` for a query parameter the route lacks."""
    names = sorted(known)
    for name in request.query:
        if name not in names:
            near = nearest(name, names)
            raise InvalidInput(
                f"The query parameter {name[:64]!r} is not known here.{near}",
                code="unknown_parameter",
            )


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

    return in_range(name, int(given), low, high)


def in_range(name: str, number: int, low: int, high: int) -> int:
    """The number itself. Raises ``out_of_range`` naming the range."""
    if not low <= number <= high:
        raise InvalidInput(f"{name} must be {low} to {high}.", code="out_of_range")

    return number


def seconds(request: web.Request, name: str, default: float) -> float:
    """A time to wait in seconds, at most 60."""
    given = request.query.get(name)
    if given is None:
        return default

    try:
        number = float(given)
    except ValueError as error:
        raise InvalidInput(
            f"{name} must be a number of seconds.", code="type_error"
        ) from error

    most = LIMITS["wait_seconds"]
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
    return choice(request, name, ("true", "false"), "false") == "true"


def choice(
    request: web.Request, name: str, choices: tuple[str, ...], default: str
) -> str:
    """A parameter that is one of some words."""
    given = request.query.get(name, default)
    if given not in choices:
        raise InvalidInput(
            f"{name} must be one of {', '.join(choices)}.", code="invalid"
        )

    return given


def order(
    request: web.Request, default: Literal["asc", "desc"]
) -> Literal["asc", "desc"]:
    """The order of a list."""
    return (
        "asc" if choice(request, "order", ("asc", "desc"), default) == "asc" else "desc"
    )


def an_id(given: str, prefix: str) -> str:
    """An id of this kind. Raises ``invalid_id`` showing the form."""
    if not _ID.match(given) or not given.startswith(f"{prefix}_"):
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
