"""Things to store: each whole and valid, with what a test cares about given."""

from __future__ import annotations

from typing import Any

from contracts import (
    EVENTS,
    Approval,
    Approved,
    AskTerms,
    Awaiting,
    Channel,
    Decision,
    DecisionRecord,
    EffectRow,
    InboxItem,
    LedgerEntry,
    Origin,
    Outcome,
    Principal,
    Proposer,
    Question,
    Refused,
    Reservation,
    RunEvent,
    RunEventType,
    RunRow,
    RunState,
    Timestamp,
    Verdict,
    derived_id,
    new_id,
)
from store import Append, Store

TENANT = "default"
AT = "2026-11-21T03:54:40.123Z"


def at(second: int) -> Timestamp:
    """A moment of one and the same hour, in the order of the seconds."""
    return f"2026-11-21T04:{second // 60:02d}:{second % 60:02d}.000Z"


def principal(tenant: str = TENANT, subject: str = "sub_ada") -> Principal:
    """Somebody who may do everything."""
    return Principal(
        id="key_ada",
        kind="api_key",
        subject=subject,
        permissions=("workflow.run",),
        tenant=tenant,
    )


def decision(**more: Any) -> Decision:
    """A decision to run a workflow."""
    given: dict[str, Any] = {
        "id": new_id("dec"),
        "action": "workflow.run",
        "args": {"workflow": "greet", "input": {"name": "Ada", "half": 0.5}},
        "proposer": Proposer(kind="user", id="ada"),
        "principal": principal(more.pop("tenant", TENANT), more.pop("by", "sub_ada")),
        "channel": Channel(kind="http"),
        "not_after": AT,
        "created_at": AT,
    }
    return Decision(**{**given, **more})


def verdict(decided: Decision, state: str) -> Verdict:
    """The verdict that leads to this state."""
    ids: dict[str, Any] = {"id": new_id("vrd"), "decision_id": decided.id}
    if state == "refused":
        return Refused(**ids, code="refused", message="No.", issued_at=AT)

    if state == "awaiting":
        return Awaiting(
            **ids,
            approval_id=derived_id("apr", decided.id),
            rules=("ask-first",),
            approvers=("role:approver",),
            quorum=1,
            issued_at=AT,
            expires_at=at(3_599),
        )

    return approved(decided)


def approved(decided: Decision) -> Approved:
    """A verdict that allows a decision; its seal fits nothing."""
    return Approved(
        id=new_id("vrd"),
        decision_id=decided.id,
        decision_digest="sha256:0",
        action_digest="sha256:1",
        tenant=decided.principal.tenant,
        subject=decided.principal.subject,
        audience="workflow",
        pins={"workflow:greet": "sha256:2"},
        limits={},
        policy_digest="sha256:3",
        rules=("allow-all",),
        issued_at=AT,
        expires_at=at(3_599),
        key_id="first",
        seal="0" * 64,
    )


def record(state: str = "approved", **more: Any) -> DecisionRecord:
    """A judged decision; ``recorded_at`` and ``rules`` are the record's own."""
    names = [name for name in ("recorded_at", "rules") if name in more]
    own: dict[str, Any] = {name: more.pop(name) for name in names}
    decided = decision(**more)
    given: dict[str, Any] = {
        "decision": decided,
        "decision_digest": "sha256:0",
        "action_digest": "sha256:1",
        "message_id": new_id("msg"),
        "correlation_id": new_id("msg"),
        "verdict": verdict(decided, state),
        "facts": {"plan": {"risk": "low", "nodes": 3, "cost": 1e-7}},
        "policy_digest": "sha256:3",
        "rules": ("allow-all",),
        "recorded_at": AT,
        "state": state,
    }
    return DecisionRecord(**{**given, **own})


def approval(of: DecisionRecord, **more: Any) -> Approval:
    """The approval that a record opens."""
    given: dict[str, Any] = {
        "id": derived_id("apr", of.id),
        "tenant": of.tenant,
        "decision_id": of.id,
        "action": of.decision.action,
        "action_digest": of.action_digest,
        "args": of.decision.args,
        "plan": of.plan,
        "pins": {},
        "rules": ("ask-first",),
        "questions": (Question(rule="ask-first", terms=AskTerms(quorum=2)),),
        "proposer": of.decision.proposer,
        "subject": of.decision.principal.subject,
        "policy_digest": of.policy_digest,
        "asked_at": of.recorded_at,
        "expires_at": at(3_000),
    }
    return Approval(**{**given, **more})


def outcome(
    of: DecisionRecord, state: Any = "succeeded", result: Any = None
) -> Outcome:
    """How the carrying out of a record's decision ended."""
    return Outcome(decision_id=of.id, state=state, result=result)


def effect(of: DecisionRecord, **more: Any) -> EffectRow:
    """A claimed use of a record's verdict."""
    given: dict[str, Any] = {
        "decision_id": of.id,
        "index": "0",
        "tenant": of.tenant,
        "verdict_id": of.verdict.id,
        "action": of.decision.action,
        "state": "claimed",
        "claimed_at": AT,
    }
    return EffectRow(**{**given, **more})


def run(of: DecisionRecord | None = None, **more: Any) -> RunRow:
    """A queued run, of its own decision or of a recorded one."""
    decision_id = new_id("dec") if of is None else of.id
    tenant = more.get("tenant", TENANT if of is None else of.tenant)
    given: dict[str, Any] = {
        "id": derived_id("run", decision_id, more.get("index", "0")),
        "tenant": tenant,
        "workflow": "greet",
        "workflow_version": 1,
        "workflow_digest": "sha256:2",
        "decision_id": decision_id,
        "correlation_id": new_id("msg"),
        "input": {"name": "Ada"},
        "pins": {"workflow:greet": "sha256:2"},
        "principal": principal(tenant),
        "origin": Origin(kind="api"),
        "created_at": AT,
    }
    return RunRow(**{**given, **more})


def event(of: RunRow, seq: int, type_: RunEventType = "node_start") -> RunEvent:
    """An event of a run."""
    return RunEvent(
        id=new_id("evt"),
        run_id=of.id,
        seq=seq,
        type=type_,
        channel=EVENTS[type_].channel,
        node_id="greet" if type_.startswith("node_") else None,
        at=AT,
        payload={"input": {"name": "Ada"}},
    )


def append(
    of: RunRow, first: int, *types: RunEventType, writer: str = "w1", **more: Any
) -> Append:
    """An append of events of these types from a position on."""
    events = tuple(event(of, first + n, type_) for n, type_ in enumerate(types))
    return Append(events, writer, **more)


def ended(seq: int, status: Any = "completed") -> RunState:
    """The projection of a run that ended with its event ``seq``."""
    return RunState(seq=seq, status=status, terminal_event="workflow_complete")


def paused(seq: int, reason: Any = "wait") -> RunState:
    """The projection of a run that waits since its event ``seq``."""
    return RunState(seq=seq, status="paused", paused_reason=reason)


async def told(store: Store, ref: str, tenant: str = TENANT) -> tuple[LedgerEntry, ...]:
    """What the ledger tells of something, once everything said is linked."""
    await store.ledger.chain(tenant)
    return await store.ledger.of(tenant, ref)


async def chain_of(store: Store, tenant: str = TENANT) -> tuple[LedgerEntry, ...]:
    """The whole ledger of a tenant, once everything said is linked."""
    await store.ledger.chain(tenant)
    return await store.ledger.page(tenant, limit=10_000)


def item(id_: str, kind: Any = "signal", **body: Any) -> InboxItem:
    """Something for a run's inbox."""
    return InboxItem(id=id_, kind=kind, at=AT, body=body)


def reservation(id_: str, amount: float, limit: float, **more: Any) -> Reservation:
    """Something set aside of the tenant's tokens of a day."""
    given: dict[str, Any] = {
        "id": id_,
        "tenant": TENANT,
        "scope": "tenant",
        "scope_id": TENANT,
        "meter": "tokens",
        "window": "2026-11-21",
        "limit": limit,
        "amount": amount,
    }
    return Reservation(**{**given, **more})
