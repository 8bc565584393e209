"""Bearer keys: ``sg_<id>_<secret>``, of which only a digest of the secret is kept."""

from __future__ import annotations

import re
import secrets

from contracts.canonical import digest_of
from contracts.ids import new_id

_FORM = re.compile(r"sg_([0-7][0-9a-hjkmnp-tv-z]{25})_([A-Za-z0-9_-]{32,128})")


def fresh_key(key_id: str = "") -> tuple[str, str]:
    """A key's id, new if none is given, and the whole key: 192 random bits.

    It has 62 characters, so that it fits into a link that opens a chat with a bot.
    """
    key_id = key_id or new_id("key")
    return key_id, f"sg_{key_id.removeprefix('key_')}_{secrets.token_urlsafe(24)}"


def split_key(key: str) -> tuple[str, str] | None:
    """The key id and the secret's digest of a whole key; None if it has no form."""
    match = _FORM.fullmatch(key)
    return (f"key_{match[1]}", secret_digest(match[2])) if match else None


def secret_digest(secret: str) -> str:
    """What is kept of a secret; it has enough random bits for a fast hash."""
    return digest_of(b"sluicegate.key.v1\x00" + secret.encode())
