"""A policy made ready: its rules compiled, what each one found put in order."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import JsonObject, Mode, Policy, Question, Rule
from plans.expressions import Expression, RuleSet

DEFAULT = "default"
"""What is named where no rule matched: ``gate.default``."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Which rules matched, by what they do, in the policy's order."""

    denying: tuple[str, ...] = ()
    """Rules that deny, and rules whose expression failed."""

    asking: tuple[Question, ...] = ()
    allowing: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy that can judge; made by ``compile_policy``."""

    policy: Policy
    digest: str
    expressions: tuple[Expression, ...]
    """One for each rule, in order."""

    rule_set: RuleSet
    facts_read: frozenset[str]
    """The facts that some rule reads; no others need be gathered."""

    @property
    def mode(self) -> Mode:
        """What is done with what the rules say."""
        return self.policy.mode

    @property
    def default(self) -> str:
        """What follows where no rule matches."""
        return self.policy.default

    def findings(self, decision: JsonObject, facts: JsonObject) -> Findings:
        """What every rule says of a plain decision. Never raises for what they hold."""
        values = {"decision": decision, "facts": facts}
        holding, failing = self.rule_set.matches(values)
        rules = self.policy.rules
        found = [rules[n] for n in holding]
        denying = {n for n in holding if rules[n].then == "deny"}
        against = [rules[n] for n in sorted(denying.union(failing))]
        return Findings(
            denying=tuple(rule.id for rule in against),
            asking=tuple(
                Question(rule=r.id, terms=r.terms) for r in found if r.then == "ask"
            ),
            allowing=tuple(rule.id for rule in found if rule.then == "allow"),
            message=" ".join(dict.fromkeys(map(_told, against))),
        )


def _told(rule: Rule) -> str:
    """What a refused person reads; a failed rule is no deny rule's message."""
    if rule.then == "deny":
        return rule.message or f"The rule {rule.id} refuses this."

    return f"The rule {rule.id} could not be evaluated, so it refuses."
