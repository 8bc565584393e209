"""Where Redis is, and how a connection to it is made."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts import ConfigurationError

_READ_SIZE = 65_536


class Address:
    """A Redis URL that was understood; nothing is connected yet."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError for a URL that names no Redis."""
        try:
            _refuse_unless_port(url)
            options: dict[str, Any] = dict(parse_url(url))
            self._class: type[AbstractConnection] = options.pop(
                "connection_class", Connection
            )
            self._options = options
            self.connection("trial")
            _refuse_unless_number(url)
        except (ValueError, TypeError, RedisError) as error:
            # the URL may hold a password: only what is wrong with it is told
            raise ConfigurationError(f"bus.url: {error}") from None

    def connection(self, name: str) -> AbstractConnection:
        """A connection that is not open, called ``name`` in Redis' CLIENT LIST.

        It sends everything once and has no timeout of its own: a command that is
        sent again may act twice, and the link keeps the time.
        """
        own = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "socket_keepalive": True,
            "socket_read_size": _READ_SIZE,
            "protocol": 2,
            "decode_responses": False,
            "driver_info": None,
            "client_name": name,
        }
        if "path" in self._options:
            del own["socket_keepalive"]

        return self._class(**{**self._options, **own})


def _refuse_unless_port(url: str) -> None:
    """The driver would quote a password that is cut by a / or # in it."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError(
            "its port is no number; a password is written with %2F for / and %23 for #"
        ) from None


def _refuse_unless_number(url: str) -> None:
    """The driver takes the database 0 for a path that is no number."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise ValueError("its path is no number of a database")
