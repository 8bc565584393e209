"""Cursors: opaque, signed, and good for one list of one tenant only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from contracts import InvalidInput

_DOMAIN = b"sluicegate.cursor.v1\x00"
_MAC_BYTES = 16


class Cursors:
    """Turns a store's cursor into one that callers cannot read or bend."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def out(self, after: str | None, listing: tuple[str, ...]) -> str | None:
        """The cursor to show for where the next page begins.

        ``listing`` says which list it is: tenant, route, filters, order.
        """
        if after is None:
            return None

        text = after.encode()
        raw = self._mac(text, listing) + text
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def back(self, cursor: str | None, listing: tuple[str, ...]) -> str | None:
        """Where the page begins. Raises InvalidInput ``invalid_cursor``."""
        if cursor is None:
            return None

        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise InvalidInput(code="invalid_cursor") from error

        mac, text = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(text, listing)):
            raise InvalidInput(code="invalid_cursor")

        return text.decode()

    def _mac(self, text: bytes, listing: tuple[str, ...]) -> bytes:
        bound = json.dumps(listing).encode() + b"\x00" + text
        return hmac.digest(self._key, _DOMAIN + bound, hashlib.sha256)[:_MAC_BYTES]
