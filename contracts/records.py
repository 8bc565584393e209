"""What the store keeps of decisions, effects, keys and the ledger."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.clock import Timestamp
from contracts.decisions import Decision
from contracts.ids import Id
from contracts.message import JsonObject, Message
from contracts.outcomes import Outcome
from contracts.permissions import Role
from contracts.verdicts import Verdict

DecisionState = Literal[
    "awaiting", "approved", "refused", "done", "failed", "unknown", "expired", "dry_run"
]


class DecisionRecord(Message):
    """A judged decision as it was written before its verdict was released.

    All but ``state``, ``outcome`` and ``settled_at`` never changes.
    """

    decision: Decision
    decision_digest: str
    action_digest: str
    message_id: str
    """The envelope it came in; who waits, waits for an answer to this."""

    reply_to: str | None = None
    correlation_id: str
    verdict: Verdict
    facts: JsonObject
    plan: JsonObject = Field(default_factory=dict)
    policy_digest: str
    rules: tuple[str, ...]
    recorded_at: Timestamp
    state: DecisionState
    outcome: Outcome | None = None
    settled_at: Timestamp | None = None

    @property
    def id(self) -> str:
        """The decision's id."""
        return self.decision.id

    @property
    def tenant(self) -> str:
        """The tenant of the principal."""
        return self.decision.principal.tenant


class EffectRow(Message):
    """One use of a verdict outside a run: unique by decision and index."""

    decision_id: Id
    index: str
    tenant: str
    verdict_id: Id
    action: str
    state: Literal["claimed", "succeeded", "failed", "unknown"]
    outcome: Outcome | None = None
    claimed_at: Timestamp
    finished_at: Timestamp | None = None
    token: str = ""
    """Fresh for each claim: an own claim come back is recognised by it."""


class KeyRow(Message):
    """A bearer key; the secret itself is kept nowhere."""

    id: Id
    tenant: str
    subject: str
    subject_name: str
    roles: tuple[Role, ...]
    secret_digest: str
    label: str = ""
    door: Literal["http", "telegram"] = "http"
    """Where it opens: one for Telegram binds one account, and is no bearer key."""

    created_at: Timestamp
    expires_at: Timestamp | None = None
    revoked_at: Timestamp | None = None

    def is_alive(self, at: Timestamp) -> bool:
        """Whether it was neither revoked nor has expired."""
        expired = self.expires_at is not None and self.expires_at <= at
        return self.revoked_at is None and not expired


class FreezeRow(Message):
    """Something that stands still."""

    tenant: str
    scope: Literal["tenant", "tool", "workflow"]
    name: str
    reason: str
    by: str
    at: Timestamp


class IdempotencyRow(Message):
    """The decision an Idempotency-Key names."""

    tenant: str
    subject: str
    route: str
    key: str
    fingerprint: str
    decision_id: Id
    created_at: Timestamp
    expires_at: Timestamp


class Reservation(Message):
    """So much of a meter, set aside before it is used."""

    id: str
    tenant: str
    scope: Literal["tenant", "subject", "conversation", "run"]
    scope_id: str
    meter: Literal["tokens", "cost", "runs", "calls"]
    window: str
    """The start of the window, or ``run``."""

    limit: float
    amount: float


LedgerKind = Literal[
    "decision", "vote", "approval", "outcome", "policy", "freeze", "key", "definition"
]
"""What a ledger entry tells; ``approval`` is how asking people ended."""


class LedgerEntry(Message):
    """One link of a tenant's chain: ``hash = SHA-256(prev ‖ n ‖ body_digest)``.

    The three hashes are 64 hex digits; ``docs/ledger.md`` fixes every byte.
    """

    tenant: str
    n: int
    kind: LedgerKind
    ref: str
    at: Timestamp
    body_digest: str
    prev: str
    hash: str
    body: JsonObject | None = None
    """None once retention dropped it; the chain stays."""

    text: str | None = None
    """The exact text that ``body_digest`` is the SHA-256 of; ``body`` is read of it."""


class SignedHead(Message):
    """Where a tenant's chain had come to, signed: what shows that it was cut."""

    tenant: str
    n: int
    hash: str
    at: Timestamp
    key_id: str
    seal: str


class PolicyRow(Message):
    """The policy in force for a tenant, and which verdicts no longer count."""

    tenant: str
    digest: str
    policy: JsonObject
    revision: int
    """1 for the first, one more with each change."""

    revoked_before: Timestamp | None = None
    """Verdicts issued before this moment are not honoured; None: all are."""

    at: Timestamp


RoleName = Literal["gateway", "coordinator", "worker"]
"""What a process may be; one that has every role is all three."""


class Capabilities(Message):
    """What a live process is and can do, published with its heartbeat."""

    worker: str
    """Its name, fresh at every start; runs name their owner so."""

    roles: tuple[RoleName, ...] = ("worker",)
    host: str = ""
    pid: int = 0
    version: str = ""
    python_tools: tuple[str, ...] = ()
    model: str | None = None
    knowledge: tuple[str, ...] = ()
    running: int = 0
    slots: int = 0
    started_at: Timestamp
    seen_at: Timestamp
