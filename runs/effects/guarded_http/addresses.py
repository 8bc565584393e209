"""Which addresses may be called: public ones, and what the policy lists."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from runs.effects.guarded_http.policy import HttpPolicy

_UNICAST = ip_network("2000::/3")
"""The one part of IPv6 that is given out for use on the internet."""

_RESERVED = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
"""What ``is_global`` of some supported Python calls global and is not."""

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "192.0.0.192",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Where clouds hand out credentials to whoever asks."""

_COMPATIBLE = ip_network("::/96")
_NAT64 = ip_network("64:ff9b::/96")

_NOT_PUBLIC = "The address is not a public one."
_IS_METADATA = "The address is that of a cloud's metadata service."


def refusal(address: str, policy: HttpPolicy) -> str | None:
    """Why an address may not be called, as a sentence; None if it may.

    An IPv4 address inside an IPv6 one is taken out and judged as well. A metadata
    service is refused unless ``allow_private`` names exactly its address.
    """
    try:
        whole = ip_address(address)
    except ValueError:
        return _NOT_PUBLIC

    found = (_why(part, policy) for part in _parts(whole))
    return next((why for why in found if why), None)


def is_listed(address: str, policy: HttpPolicy) -> bool:
    """Whether every part of an address is in ``allow_private``."""
    return all(policy.lists_address(part) for part in _parts(ip_address(address)))


def is_metadata(address: str) -> bool:
    """Whether an address is, or holds, that of a metadata service."""
    return any(part in _METADATA for part in _parts(ip_address(address)))


def _why(part: IPv4Address | IPv6Address, policy: HttpPolicy) -> str | None:
    if part in _METADATA:
        return None if policy.lists_alone(part) else _IS_METADATA

    return None if _is_public(part) or policy.lists_address(part) else _NOT_PUBLIC


def _is_public(part: IPv4Address | IPv6Address) -> bool:
    if part.version == 6 and (part not in _UNICAST or part.scope_id is not None):
        return False

    return (
        part.is_global
        and not part.is_multicast
        and not any(part in network for network in _RESERVED)
    )


def _parts(whole: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """All addresses that a packet to this one may end at."""
    if isinstance(whole, IPv4Address):
        return (whole,)

    inner = _wrapped(whole)
    return (inner,) if inner else (whole, *_tunnelled(whole))


def _wrapped(whole: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that this one is only another spelling of."""
    if whole.ipv4_mapped:
        return whole.ipv4_mapped

    spelled = whole in _NAT64 or (whole in _COMPATIBLE and int(whole) > 1)
    return IPv4Address(int(whole) & 0xFFFF_FFFF) if spelled else None


def _tunnelled(whole: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 ends of a 6to4 or Teredo tunnel.

    The local NAT64 prefix 64:ff9b:1::/48 is refused whole: where in it the IPv4
    address stands is a secret of the network.
    """
    if whole.sixtofour:
        return (whole.sixtofour,)

    return whole.teredo or ()
