"""What the gate finds out about a decision, before it becomes a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from agents.coordinator.policy import CompiledPolicy, Judgement, judge
from contracts import (
    Decision,
    Fault,
    JsonObject,
    Message,
    Pins,
    Question,
    RunRow,
    Timestamp,
    digest,
)

NO_PLAN: JsonObject = {
    "risk": "low",
    "nodes": 0,
    "tools": [],
    "effects": [],
    "models": [],
    "approvals": [],
    "cost_estimate": {},
    "published": False,
    "in_run": False,
}
"""What rules see of a decision that plans nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """A decision whose arguments were read, and the run that proposed it, if any."""

    decision: Decision
    args: Message
    at: Timestamp
    run: RunRow | None = None

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self.decision.principal.tenant


@dataclass(frozen=True, slots=True)
class Needs:
    """What live workers must be able to do for a plan to succeed."""

    python_tools: frozenset[str] = frozenset()
    knowledge: frozenset[str] = frozenset()
    model: bool = False


NO_NEEDS = Needs()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a decision rests on: every name in it resolved."""

    pins: Pins = field(default_factory=dict)
    plan: JsonObject = field(default_factory=lambda: NO_PLAN)
    """What rules and approvers see of what would be done."""

    questions: tuple[Question, ...] = ()
    """What the plan itself asks, whatever the policy says."""

    needs: Needs = NO_NEEDS
    frozen_by: frozenset[tuple[str, str]] = frozenset()
    """Scope and name of every freeze that stops it, the tenant's apart."""

    facts: JsonObject = field(default_factory=dict)
    """What rules may know besides."""


NOTHING = Grounds()
"""The grounds of a decision that names nothing."""


@dataclass(frozen=True)
class Ruling:
    """A decision, all that was found out about it, and the judgement."""

    decision: Decision
    plain: JsonObject
    at: Timestamp
    policy: CompiledPolicy
    """The policy it was judged under."""

    judgement: Judgement
    grounds: Grounds = NOTHING
    facts: JsonObject = field(default_factory=dict)
    fault: Fault | None = None
    """Why it could not even be judged; the judgement is then a refusal."""

    @property
    def policy_digest(self) -> str:
        """The digest of the policy it was judged under."""
        return self.policy.digest

    @cached_property
    def decision_digest(self) -> str:
        """The digest of all that was proposed; ``not_after`` is in no digest."""
        return digest({k: v for k, v in self.plain.items() if k != "not_after"})

    @cached_property
    def action_digest(self) -> str:
        """What approvals and allowances bind to: action, arguments, pins."""
        decision, pins = self.decision, self.grounds.pins
        action = {"action": decision.action, "args": decision.args, "pins": pins}
        return digest(action)


def with_grants(ruling: Ruling, grants: tuple[JsonObject, ...]) -> Ruling:
    """The same case under the same policy, with these people's yes as facts."""
    facts = {**ruling.facts, "grants": list(grants)}
    judgement = judge(ruling.plain, facts, ruling.policy)
    return replace(ruling, facts=facts, judgement=judgement)
