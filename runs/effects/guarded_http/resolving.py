"""From a host to the addresses it is called at: all checked, and no others used."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from contracts import CallRefused
from runs.effects.guarded_http.addresses import is_listed, is_metadata, refusal
from runs.effects.guarded_http.policy import HttpPolicy
from runs.effects.guarded_http.targets import Target

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Every address of a host name, best first. Raises OSError."""


async def system_lookup(host: str) -> Sequence[str]:
    """What the machine's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def admit(host: str, address: str, port: int, policy: HttpPolicy) -> None:
    """Return if an address of a host may be called. Raises CallRefused."""
    why = _refusal(host, address, policy)
    if why:
        raise CallRefused(why)

    listed = policy.lists_name(host) or is_listed(address, policy)
    if not policy.opens(port, listed=listed):
        raise CallRefused(f"The port {port} is not one a tool may call.")


def admit_target(target: Target, policy: HttpPolicy) -> None:
    """Return if a target that names its address may be called. Raises CallRefused."""
    if target.is_address:
        admit(target.host, target.host, target.port, policy)


class CheckedResolver(AbstractResolver):
    """Asks once for each connection; one address refused refuses the host."""

    def __init__(self, policy: HttpPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Every address of the host. Raises OSError, CallRefused."""
        addresses = await self._lookup(host)
        if not addresses:
            raise OSError(f"{host} has no address")

        for address in addresses:
            admit(host.removesuffix("."), address, port, self._policy)

        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def _refusal(host: str, address: str, policy: HttpPolicy) -> str | None:
    if policy.lists_name(host) and not is_metadata(address):
        return None

    return refusal(address, policy)


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
