"""One call and its answer, and the hops that lead from the one to the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts import CallRefused
from runs.effects.guarded_http.targets import Target, parse_target, redirected

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE".split())
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_OURS = frozenset(
    "connection content-length expect host keep-alive proxy-authorization "
    "proxy-connection te trailer transfer-encoding upgrade".split()
)
"""Headers that decide where a request ends or goes; only the client sets them."""

_TRAVELLING = frozenset("accept accept-encoding accept-language user-agent".split())
"""Headers that hold no secret and may go to another origin."""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request to make.

    ``credential_headers`` go only to ``credential_hosts`` (``host`` or
    ``host:port``), and never on to another origin. ``timeout_s`` covers all of the
    call, redirects and the answer's body included; None is the policy's.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_s: float | None = None
    credential_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credential_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer: names of headers in lower case, body decoded, time in seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    final_url: str
    elapsed: float = 0.0


@dataclass(slots=True)
class Progress:
    """How far a call has come; tells whoever cancels it what may have happened."""

    sent: bool = False
    """Whether a byte of the request may have left."""

    answered: int | None = None
    """The status of the answer that has begun."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the way to the answer."""

    method: str
    target: Target
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None


def first_hop(call: HttpCall) -> Hop:
    """The request a call begins with. Raises CallRefused."""
    target = parse_target(call.url)
    if call.method not in _METHODS:
        raise CallRefused("The method is not one a tool may use.", code="invalid")

    if call.credential_headers and not _belongs(call, target):
        raise CallRefused(f"The credential is not for {target.host}.")

    headers = {**call.headers, **call.credential_headers}
    for name, value in headers.items():
        _refuse_header(name, value)

    return Hop(call.method, target, headers, call.body)


def next_hop(hop: Hop, status: int, location: str | None) -> Hop | None:
    """Where a redirect leads; None if the answer is not one to follow.

    Only a GET or HEAD without a body is followed. Raises CallRefused.
    """
    followed = hop.method in {"GET", "HEAD"} and not hop.body
    if not followed or status not in _REDIRECTS or not location:
        return None

    target = redirected(hop.target, location)
    return Hop(hop.method, target, _headers_for(hop, target), None)


def _headers_for(hop: Hop, target: Target) -> Mapping[str, str]:
    if target.origin == hop.target.origin:
        return hop.headers

    return {
        name: value
        for name, value in hop.headers.items()
        if name.lower() in _TRAVELLING
    }


def _belongs(call: HttpCall, target: Target) -> bool:
    hosts = {host.lower() for host in call.credential_hosts}
    return target.host in hosts or f"{target.host}:{target.port}" in hosts


def _refuse_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name) or _UNSENDABLE.search(value):
        raise CallRefused(
            "A header holds a character headers may not.", code="forbidden_character"
        )

    if name.lower() in _OURS:
        raise CallRefused(f"The client sets the header {name} itself.", code="invalid")
