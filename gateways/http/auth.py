"""Who calls: a bearer key, looked up, compared, and turned into a principal."""

from __future__ import annotations

import hmac

from aiohttp import web

from contracts import (
    KeyRow,
    PermanentError,
    Principal,
    Timestamp,
    permissions_of,
    split_key,
)
from store import Keys

_LONGEST = 512
_IN_URL = frozenset({"key", "api_key", "token", "access_token", "authorization"})
_NOBODY = ("key_00000000000000000000000000", "sha256:")
"""Who a key without a form belongs to: looked up like any other, never found."""


async def authenticate(request: web.Request, keys: Keys, at: Timestamp) -> Principal:
    """The principal of a request's bearer key.

    Raises PermanentError ``unauthenticated`` without one, ``invalid_credentials``
    for any that is not good now: the same answer, after the same work, whatever is
    wrong with it. A key in the URL is ``credentials_in_url``.
    """
    if _IN_URL & {name.lower() for name in request.query}:
        raise PermanentError(code="credentials_in_url")

    header = request.headers.get("Authorization", "")
    scheme, _, shown = header.partition(" ")
    if scheme.lower() != "bearer":
        raise PermanentError(code="unauthenticated")

    key = await _key(keys, shown.strip(), at)
    if key is None:
        raise PermanentError(code="invalid_credentials")

    return Principal(
        id=key.id,
        kind="api_key",
        subject=key.subject,
        permissions=permissions_of(key.roles),
        tenant=key.tenant,
    )


async def is_good(keys: Keys, key_id: str, at: Timestamp) -> bool:
    """Whether a key that was good still is."""
    key = await keys.get(key_id)
    return key is not None and key.is_alive(at)


async def _key(keys: Keys, shown: str, at: Timestamp) -> KeyRow | None:
    parts = split_key(shown) if len(shown) <= _LONGEST else None
    key_id, digest = parts or _NOBODY
    key = await keys.get(key_id)
    known = key.secret_digest if key is not None else ""
    same = hmac.compare_digest(known.encode(), digest.encode())
    good = key is not None and same and key.door == "http" and key.is_alive(at)
    return key if good else None
