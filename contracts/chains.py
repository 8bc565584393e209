"""A ledger's chain: how entries are linked, and which one is not what it was.

``docs/ledger.md`` fixes the bytes, so that anybody can verify without this module.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping

from contracts.canonical import canonical
from contracts.clock import Timestamp
from contracts.message import JsonObject
from contracts.records import LedgerEntry, SignedHead

FIRST_PREV = "0" * 64
"""What stands before the first entry."""

_DOMAIN = b"sluicegate.ledger.v1\x00"


def link(prev: str, n: int, body_digest: str) -> str:
    """``SHA-256(prev ‖ n ‖ body_digest)``: 32 + 8 (big-endian) + 32 bytes, as hex."""
    linked = bytes.fromhex(prev) + n.to_bytes(8, "big") + bytes.fromhex(body_digest)
    return hashlib.sha256(linked).hexdigest()


def signed_head(
    last: LedgerEntry, at: Timestamp, *, key_id: str, key: bytes
) -> SignedHead:
    """The head of a chain that ends with ``last``, signed with HMAC-SHA256."""
    unsigned = SignedHead(
        tenant=last.tenant, n=last.n, hash=last.hash, at=at, key_id=key_id, seal=""
    )
    return unsigned.model_copy(update={"seal": _mac(key, unsigned)})


def is_signed(head: SignedHead, keys: Mapping[str, bytes]) -> bool:
    """Whether one of these keys, by its id, made the head's seal."""
    key = keys.get(head.key_id)
    if key is None:
        return False

    return hmac.compare_digest(_mac(key, head).encode(), head.seal.encode())


def verify(
    entries: Iterable[LedgerEntry],
    head: SignedHead | None = None,
    *,
    bodies_since: Timestamp = "",
) -> list[str]:
    """What is wrong with a whole chain, one sentence each; empty if nothing is.

    An altered, removed or reordered entry is named; with the signed head, which is
    taken as genuine (see ``is_signed``), so is a chain that was cut or rewritten.
    Retention may have dropped the bodies of entries before ``bodies_since``.
    """
    check = ChainCheck(head, bodies_since=bodies_since)
    for entry in entries:
        check.see(entry)

    return check.finish()


class ChainCheck:
    """Verifies a chain of any length, entry by entry, in the order it is kept."""

    def __init__(
        self, head: SignedHead | None = None, *, bodies_since: Timestamp = ""
    ) -> None:
        self._head = head
        self._bodies_since = bodies_since
        self._head_seen = False
        self._last: LedgerEntry | None = None
        self._highest = 0
        self._gaps: set[int] = set()
        self._problems: list[str] = []

    def see(self, entry: LedgerEntry) -> None:
        """Check the next entry against itself and the one before it."""
        self._check_place(entry)
        self._problems += _contradictions(entry)
        if entry.text is None and entry.at >= self._bodies_since:
            self._problems.append(f"the body of entry {entry.n} was removed")

        if self._head is not None and entry.n == self._head.n:
            self._check_head(entry, self._head)

        self._last = entry

    def finish(self) -> list[str]:
        """Everything found; to be asked once, after the last entry."""
        removed = [f"entry {n} was removed" for n in sorted(self._gaps)]
        return self._problems + removed + self._truncation()

    def _check_place(self, entry: LedgerEntry) -> None:
        due = self._highest + 1
        if entry.n > due:
            self._gaps.update(range(due, entry.n))
        elif entry.n < due:
            self._gaps.discard(entry.n)
            self._problems.append(f"entry {entry.n} was moved: entry {due} is due here")
        elif entry.prev != self._prev():
            self._problems.append(
                f"entry {entry.n} does not follow entry {entry.n - 1}: "
                "one of the two was altered"
            )

        self._highest = max(self._highest, entry.n)

    def _prev(self) -> str:
        return FIRST_PREV if self._last is None else self._last.hash

    def _check_head(self, entry: LedgerEntry, head: SignedHead) -> None:
        self._head_seen = True
        if (entry.tenant, entry.hash) != (head.tenant, head.hash):
            self._problems.append(
                f"entry {entry.n} is not the one that was signed: "
                "it or one before it was altered"
            )

    def _truncation(self) -> list[str]:
        if self._head is None or self._head_seen or self._highest >= self._head.n:
            return []

        first, last = self._highest + 1, self._head.n
        return [f"the chain was cut: entries {first} to {last} are not there"]


def _contradictions(entry: LedgerEntry) -> list[str]:
    """What an entry alone gives away."""
    if entry.hash != _link_or_empty(entry):
        return [f"entry {entry.n} was altered: its hash does not fit"]

    return [] if entry.text is None else _body_contradictions(entry, entry.text)


def _link_or_empty(entry: LedgerEntry) -> str:
    try:
        return link(entry.prev, entry.n, entry.body_digest)
    except (ValueError, OverflowError):
        return ""


def _body_contradictions(entry: LedgerEntry, text: str) -> list[str]:
    if hashlib.sha256(text.encode()).hexdigest() != entry.body_digest:
        return [f"entry {entry.n} was altered: its body does not fit its digest"]

    said = _said_of_itself(_parsed(text))
    return [
        f"entry {entry.n} was altered: its {name} is not the one of its body"
        for name in ("kind", "tenant", "ref", "at")
        if said.get(name) != getattr(entry, name)
    ]


def _said_of_itself(body: JsonObject) -> JsonObject:
    """The columns of an entry as its body tells them."""
    if "kind" in body:
        return body

    decision = body.get("decision", {})
    return {
        "kind": "decision",
        "tenant": decision.get("principal", {}).get("tenant"),
        "ref": decision.get("id"),
        "at": body.get("recorded_at"),
    }


def _parsed(text: str) -> JsonObject:
    try:
        body = json.loads(text)
    except ValueError:
        return {}

    return body if isinstance(body, dict) else {}


def _mac(key: bytes, head: SignedHead) -> str:
    covered = canonical(head.model_dump(exclude={"seal"}))
    return hmac.digest(key, _DOMAIN + covered, hashlib.sha256).hex()
