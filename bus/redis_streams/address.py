"""Where Redis is, and how a connection to it is made."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts import ConfigurationError
from contracts.redis_urls import refuse_odd

_READ_SIZE = 65_536


class Address:
    """A Redis URL that was understood; nothing is connected yet."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError for a URL that names no Redis."""
        try:
            refuse_odd(url)
            options: dict[str, Any] = dict(parse_url(url))
            self._class: type[AbstractConnection] = options.pop(
                "connection_class", Connection
            )
            self._options = options
            self.connection("trial")
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
