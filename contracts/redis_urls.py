"""What is wrong with a Redis URL that a driver would take, or quote a password of."""

from __future__ import annotations

from urllib.parse import urlsplit


def refuse_odd(url: str) -> None:
    """Raise ValueError for a port or database that is no number.

    A driver takes the database 0 for a path that is no number, and tells a port that
    is none, which may be the end of a password with a ``/`` or ``#`` in it.
    """
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(
            "its port is no number; a password is written with %2F for / and %23 for #"
        ) from None

    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise ValueError("its path is no number of a database")
