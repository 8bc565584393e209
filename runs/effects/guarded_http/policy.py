"""Where guarded calls may go, how big an answer may be and how long a call lasts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import NamedTuple

from contracts import ConfigurationError

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_WEB_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """The terms of every call of one client; sizes in bytes, times in seconds.

    ``allow_private`` lists what is allowed though it is not public: networks in
    CIDR form, single addresses, host names. ``ports`` are allowed besides 80 and
    443; as long as there are none, what ``allow_private`` lists has every port.
    Raises ConfigurationError for an entry that is none of these.
    """

    allow_private: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    max_redirects: int = 3
    max_response_bytes: int = 5 * 1_024 * 1_024
    """Of the decoded body."""

    max_header_bytes: int = 32 * 1_024
    """Of all headers of an answer together."""

    timeout_s: float = 30.0
    """For a call that names no time limit of its own."""

    def __post_init__(self) -> None:
        _listed(self.allow_private)

    def lists_address(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether ``allow_private`` holds the address, alone or in a network."""
        return any(address in network for network in self._listed().networks)

    def lists_alone(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether ``allow_private`` names exactly this address."""
        return ip_network(address) in self._listed().networks

    def lists_name(self, host: str) -> bool:
        """Whether ``allow_private`` names this host."""
        return host in self._listed().names

    def opens(self, port: int, *, listed: bool) -> bool:
        """Whether a port may be called; ``listed``: on what allow_private lists."""
        return port in _WEB_PORTS or port in self.ports or (listed and not self.ports)

    def _listed(self) -> _Listed:
        return _listed(self.allow_private)


class _Listed(NamedTuple):
    networks: frozenset[IPv4Network | IPv6Network]
    names: frozenset[str]


@lru_cache(maxsize=64)
def _listed(entries: tuple[str, ...]) -> _Listed:
    read = [_entry(entry) for entry in entries]
    return _Listed(
        frozenset(each for each in read if not isinstance(each, str)),
        frozenset(each for each in read if isinstance(each, str)),
    )


def _entry(text: str) -> IPv4Network | IPv6Network | str:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return _name(text)


def _name(text: str) -> str:
    name = text.lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"allow_private: {text[:64]!r} is no network, address or host name."
        )

    return name
