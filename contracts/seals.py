"""Seals: HMAC-SHA256 over what a verdict covers, with keys of its own.

Only the coordinator and the run entry hold these keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from contracts.canonical import canonical
from contracts.chains import signed_head
from contracts.clock import Timestamp
from contracts.errors import ConfigurationError, VerdictRefused
from contracts.message import JsonObject
from contracts.records import LedgerEntry, SignedHead
from contracts.verdicts import Approved

_DOMAIN = b"sluicegate.verdict.v1\x00"
_LEAST_KEY_BYTES = 32


class Seals:
    """Makes and checks seals with named keys; new ones use the current key."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        """Raises ConfigurationError for a key of fewer than 32 bytes."""
        if any(len(key) < _LEAST_KEY_BYTES for key in keys.values()):
            raise ConfigurationError("A seal key has at least 32 bytes.")

        self._keys = dict(keys)
        self._begun = {
            key_id: hmac.new(key, _DOMAIN, hashlib.sha256)
            for key_id, key in keys.items()
        }
        self.key_id = current

    def sealed(self, fields: JsonObject) -> Approved:
        """The verdict of these fields (all but ``key_id`` and ``seal``), sealed."""
        covered = {**fields, "result": "approved", "key_id": self.key_id}
        return Approved(**covered, seal=self._mac(self.key_id, covered))

    def head_of(self, last: LedgerEntry, at: Timestamp) -> SignedHead:
        """The head of a ledger that ends with this entry, signed."""
        return signed_head(last, at, key_id=self.key_id, key=self._keys[self.key_id])

    def check(self, verdict: Approved) -> None:
        """Raise VerdictRefused unless the seal fits every covered field."""
        covered = verdict.model_dump(exclude={"seal"})
        expected = self._mac(verdict.key_id, covered)
        if not hmac.compare_digest(expected.encode(), verdict.seal.encode()):
            raise VerdictRefused

    def _mac(self, key_id: str, covered: JsonObject) -> str:
        begun = self._begun.get(key_id)
        if begun is None:
            raise VerdictRefused("The verdict names a key that is not known.")

        mac = begun.copy()
        mac.update(canonical({**covered, "rules": list(covered["rules"])}))
        return mac.hexdigest()
