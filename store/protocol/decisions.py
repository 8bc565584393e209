"""Decisions, approvals, effects and the ledger: what the gate remembers."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from contracts import (
    Approval,
    DecisionRecord,
    EffectRow,
    JsonObject,
    LedgerEntry,
    Outcome,
    SignedHead,
    Timestamp,
)
from store.protocol.pages import Cursor, Page


class DecisionFilter(NamedTuple):
    """Which decisions a list shows; None shows all."""

    action: str | None = None
    state: str | None = None
    rule: str | None = None
    subject: str | None = None
    correlation_id: str | None = None


class Decisions(Protocol):
    """The concurrent record of everything judged.

    Guarantees: a record is written once; of two with one id the first stays.
    Recording, deciding and settling enter the tenant's ledger in the same statement
    or are sealed into it later, in order. The state of a decision that asks follows
    its approval's.
    """

    async def record(
        self, record: DecisionRecord, approval: Approval | None = None
    ) -> DecisionRecord:
        """Insert a record, with the approval it opens; the stored one is returned.

        If the id was recorded before, nothing is written and the first record comes
        back. Raises StoreUnavailable.
        """

    async def get(self, tenant: str, decision_id: str) -> DecisionRecord | None:
        """The record of this id, with its present state and outcome."""

    async def page(
        self,
        tenant: str,
        where: DecisionFilter,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[DecisionRecord]:
        """Records, newest first."""

    async def settle(
        self, tenant: str, decision_id: str, outcome: Outcome, at: Timestamp
    ) -> Outcome:
        """Set the outcome of a decision carried out without an effect row.

        The state becomes done, failed, unknown or expired. The first outcome stays,
        and is returned; without a decision to settle the given one is.
        """

    async def recent_actions(
        self, tenant: str, conversation_id: str, limit: int
    ) -> tuple[str, ...]:
        """The last actions of a conversation, newest first."""

    async def unperformed(
        self, *, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        """Approved decisions, of all tenants, that nobody has carried out yet.

        Their verdict may be the approval's. Oldest first.
        """

    async def untold(
        self, *, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        """Decisions, of all tenants, that expired unanswered and have no outcome yet.

        Oldest first.
        """


class Approvals(Protocol):
    """Questions to people.

    Guarantees: an approval changes only by ``change``, and of two changes from one
    revision one happens.
    """

    async def get(self, tenant: str, approval_id: str) -> Approval | None:
        """The approval of this id."""

    async def of_decision(self, tenant: str, decision_id: str) -> Approval | None:
        """The approval a decision opened."""

    async def change(self, approval: Approval, *, from_revision: int) -> bool:
        """Replace the approval if it still has that revision; whether it had.

        New votes and a final verdict enter the ledger; the decision's state follows.
        """

    async def page(
        self,
        tenant: str,
        *,
        state: str | None,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Approval]:
        """Approvals, newest first."""

    async def due(self, now: Timestamp, *, limit: int) -> tuple[Approval, ...]:
        """Waiting approvals of all tenants whose time is over."""

    async def of_run(
        self, tenant: str, run_id: str, *, node_id: str | None = None
    ) -> tuple[Approval, ...]:
        """Waiting approvals of a run."""


class Effects(Protocol):
    """Uses of verdicts outside runs.

    Guarantees: one row per ``(decision_id, index)``; the second consumer gets the
    first one's row.
    """

    async def consume(self, row: EffectRow) -> tuple[EffectRow, bool]:
        """Insert a claimed row; the stored row and whether it is ours.

        An own claim come back is recognised by a ``token`` that is not empty.
        """

    async def finish(self, row: EffectRow) -> None:
        """Store how it ended, and settle the decision with it."""

    async def get(self, tenant: str, decision_id: str, index: str) -> EffectRow | None:
        """The use of a verdict, if it was used."""

    async def unfinished(
        self, *, claimed_before: Timestamp, limit: int
    ) -> tuple[EffectRow, ...]:
        """Rows of all tenants still claimed, oldest first."""


class Ledger(Protocol):
    """The hash chain of a tenant.

    Guarantees: ``n`` counts 1..n without gaps; an entry never changes, but
    retention may drop its body. What is said is never lost; whether it is linked in
    the same statement or by the next ``chain`` is the store's affair.
    """

    async def chain(self, tenant: str, *, limit: int = 1_000) -> int:
        """Link what was said and is not in the chain yet; how many entries it was.

        Entries of one decision keep their order. Safe beside others who chain: each
        entry is linked once. Raises StoreUnavailable.
        """

    async def unchained(self, tenant: str) -> int:
        """How many entries wait to be linked."""

    async def add(
        self,
        tenant: str,
        kind: Literal["policy", "freeze", "key", "definition", "outcome"],
        ref: str,
        body: JsonObject,
        at: Timestamp,
    ) -> None:
        """Chain an entry that belongs to no decision record; again is harmless."""

    async def page(
        self, tenant: str, *, limit: int, after: int = 0
    ) -> tuple[LedgerEntry, ...]:
        """Entries with their bodies, oldest first, from ``after + 1`` on."""

    async def of(self, tenant: str, ref: str) -> tuple[LedgerEntry, ...]:
        """Entries that tell of one decision, or of whatever ``ref`` names."""

    async def head(self, tenant: str) -> LedgerEntry | None:
        """The last entry, without its body."""

    async def keep_head(self, head: SignedHead) -> None:
        """Keep a signed head; of several the one with the greatest ``n`` stays."""

    async def signed_head(self, tenant: str) -> SignedHead | None:
        """The signed head that is kept."""
