"""What the ledger hears: entries before and after they are linked."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from contracts import (
    Approval,
    DecisionState,
    JsonObject,
    LedgerEntry,
    LedgerKind,
    Outcome,
    Timestamp,
)
from contracts.chains import FIRST_PREV, link
from store.texts import json_of, object_of

FIRST = bytes.fromhex(FIRST_PREV)
"""What stands before the first entry of a chain."""

AFTER_ASKING: dict[str, DecisionState] = {
    "waiting": "awaiting",
    "approved": "approved",
    "refused": "refused",
    "expired": "expired",
    "void": "expired",
}
"""The state of a decision by that of its approval."""

_AFTER_DOING: dict[str, DecisionState] = {
    "succeeded": "done",
    "failed": "failed",
    "unknown": "unknown",
    "expired": "expired",
}


class Said(NamedTuple):
    """Something to be chained; ``body`` is None if it is kept in a row of its own."""

    kind: LedgerKind
    ref: str
    at: Timestamp
    digest: bytes
    body: str | None


class Linked(NamedTuple):
    """An entry of a chain as it is kept."""

    tenant: str
    n: int
    kind: LedgerKind
    ref: str
    at: Timestamp
    digest: bytes
    prev: bytes
    hash: bytes
    text: str | None


class Settlement(NamedTuple):
    """The end of a decision as it is written."""

    decision_id: str
    state: DecisionState
    outcome: str
    at: Timestamp
    said: Said


def said_elsewhere(kind: LedgerKind, ref: str, at: Timestamp, body: str) -> Said:
    """An entry whose body is kept, to the byte, where ``ref`` points."""
    return Said(kind, ref, at, _sha256(body), None)


def said_here(
    tenant: str, kind: LedgerKind, ref: str, at: Timestamp, body: str
) -> Said:
    """An entry that holds its body; what it says of itself is part of the text."""
    text = (
        f'{{"tenant":{json_of(tenant)},"kind":"{kind}","ref":{json_of(ref)},'
        f'"at":"{at}","body":{body}}}'
    )
    return Said(kind, ref, at, _sha256(text), text)


def said_of_change(before: Approval, after: Approval) -> list[Said]:
    """What the ledger hears of an approval's change: each new vote, and the end."""
    votes = [vote for vote in after.votes if vote not in before.votes]
    news = [_asked(after, "vote", vote.at, {"vote": vote.plain()}) for vote in votes]
    if after.state != "waiting":
        at = after.decided_at or (votes[-1].at if votes else after.expires_at)
        verdict = after.verdict and after.verdict.plain()
        end = {"state": after.state, "verdict": verdict}
        news.append(_asked(after, "approval", at, end))

    return news


def settlement(
    tenant: str, decision_id: str, outcome: Outcome, at: Timestamp
) -> Settlement:
    """What is written when a decision ends so."""
    text = outcome.model_dump_json()
    said = said_here(tenant, "outcome", decision_id, at, text)
    return Settlement(decision_id, _AFTER_DOING[outcome.state], text, at, said)


def next_link(n: int, prev: bytes, digest: bytes) -> bytes:
    """The hash of entry ``n``."""
    return bytes.fromhex(link(prev.hex(), n, digest.hex()))


def entry_of(linked: Linked) -> LedgerEntry:
    """The entry as it is shown; not validated, so that an altered one can be."""
    text = linked.text
    return LedgerEntry.model_construct(
        tenant=linked.tenant,
        n=linked.n,
        kind=linked.kind,
        ref=linked.ref,
        at=linked.at,
        body_digest=linked.digest.hex(),
        prev=linked.prev.hex(),
        hash=linked.hash.hex(),
        body=None if text is None else _body(linked.kind, text),
        text=text,
    )


def _asked(
    approval: Approval, kind: LedgerKind, at: Timestamp, news: JsonObject
) -> Said:
    body = {"approval_id": approval.id, "decision_id": approval.decision_id, **news}
    return said_here(approval.tenant, kind, approval.decision_id, at, json_of(body))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _body(kind: str, text: str) -> JsonObject | None:
    try:
        body = object_of(text)
    except ValueError:
        return None

    return body if kind == "decision" else body.get("body")
