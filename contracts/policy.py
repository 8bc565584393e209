"""A policy: rules over decisions and facts, and the budgets that bound them."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts.canonical import digest
from contracts.clock import Timestamp
from contracts.message import Message

RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Effect = Literal["allow", "ask", "deny"]
Mode = Literal["enforce", "warn", "audit"]


class AskTerms(Message):
    """Who must say yes, how many, and until when."""

    approvers: Annotated[tuple[str, ...], Field(min_length=1)] = ("role:approver",)
    """``role:NAME``, ``subject:ID``, ``key:ID`` or ``telegram:ID``."""

    quorum: Annotated[int, Field(ge=1, le=20)] = 1
    not_self: bool = True
    expires_s: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    editable: bool = False


class Rule(Message):
    """When the expression holds, the effect follows."""

    id: RuleId
    when: Annotated[str, StringConstraints(min_length=1, max_length=10_240)]
    """CEL over ``decision`` and ``facts``."""

    then: Effect
    ask: AskTerms | None = None
    message: str = ""
    """What a refused person reads."""

    @model_validator(mode="after")
    def _only_ask_has_terms(self) -> Rule:
        if self.ask is not None and self.then != "ask":
            raise ValueError("only a rule that asks has ask terms")

        return self

    @property
    def terms(self) -> AskTerms:
        """The terms of an ask rule, the defaults where it gives none."""
        return self.ask or AskTerms()


class Budget(Message):
    """At most so much of a meter, per scope and window."""

    scope: Literal["tenant", "subject", "conversation", "run"]
    meter: Literal["tokens", "cost", "runs", "calls"]
    window: Literal["minute", "hour", "day", "run"]
    limit: Annotated[float, Field(ge=0)]

    def window_at(self, at: Timestamp) -> str:
        """The name of the window (UTC) that a moment falls into: ``day:2026-11-21``."""
        return f"{self.window}:{at[: _WINDOW_CHARS[self.window]] or self.window}"


_WINDOW_CHARS = {"minute": 16, "hour": 13, "day": 10, "run": 0}
"""How much of a timestamp names the window it falls into."""


class Policy(Message):
    """Everything the judgement depends on besides the decision and the facts."""

    mode: Mode = "enforce"
    default: Literal["deny", "allow", "ask"] = "deny"
    rules: tuple[Rule, ...] = ()
    budgets: tuple[Budget, ...] = ()

    @model_validator(mode="after")
    def _rule_ids_differ(self) -> Policy:
        ids = [rule.id for rule in self.rules]
        twice = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
        if twice:
            raise ValueError(f"rule ids stand twice: {', '.join(twice)}")

        return self

    @cached_property
    def digest(self) -> str:
        """The digest that verdicts and approvals are bound to."""
        return digest(self.plain())
