"""What a URL says, read once: the same target is checked and called."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from yarl import URL

from contracts import CallRefused

_LONGEST = 8_192
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SHAPE = re.compile(
    r"(?i:https?)://(?:\[[0-9A-Fa-f:.]+\]|[^\s\[\]@:/?#%]+)(?::[0-9]{1,5})?(?:[/?]|$)"
)
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]|^\s|\s$")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes.

    ``host`` is in lower case without a last dot; ``is_address`` says that it is an
    address in its usual spelling and not a name.
    """

    url: URL
    host: str
    port: int
    is_address: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials belong to."""
        return self.url.scheme, self.host, self.port


def parse_target(url: str) -> Target:
    """The target a URL names. Raises CallRefused: scheme_not_allowed, invalid_url."""
    _refuse_other_schemes(url)
    if len(url) > _LONGEST or _UNREADABLE.search(url) or not _SHAPE.match(url):
        raise _invalid()

    try:
        return _target(URL(url).with_fragment(None))
    except ValueError as error:
        raise _invalid() from error


def redirected(base: Target, location: str) -> Target:
    """The target a redirect of ``base`` names. Raises CallRefused as parse_target."""
    if _UNREADABLE.search(location):
        raise _invalid()

    target = parse_target(_absolute(base.url, location))
    if base.url.scheme == "https" and target.url.scheme != "https":
        raise CallRefused("A redirect may not leave https.", code="scheme_not_allowed")

    return target


def _absolute(base: URL, location: str) -> str:
    if _SCHEME.match(location):
        return location

    if location.startswith("//"):
        return f"{base.scheme}:{location}"

    try:
        return str(base.join(URL(location)))
    except ValueError as error:
        raise _invalid() from error


def _refuse_other_schemes(url: str) -> None:
    scheme = _SCHEME.match(url)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        raise CallRefused(code="scheme_not_allowed")


def _target(url: URL) -> Target:
    name = (url.raw_host or "").lower().removesuffix(".")
    address = _address(name)
    if not (address or _NAME.fullmatch(name)) or not url.port:
        raise _invalid()

    spelled = url.with_host(address) if address else url
    return Target(spelled, address or name, url.port, address is not None)


def _address(host: str) -> str | None:
    """The usual spelling of an address in any spelling; None for a name."""
    if ":" in host:
        return str(ip_address(host))

    return socket.inet_ntoa(_octets(host)) if _NUMBER.fullmatch(host) else None


def _octets(host: str) -> bytes:
    try:
        return socket.inet_aton(host)
    except OSError as error:
        raise _invalid() from error


def _invalid() -> CallRefused:
    return CallRefused(
        "A URL is http or https with a plain host, no user and no control characters.",
        code="invalid_url",
    )
