"""Facts: everything rules may know of a decision besides the decision itself."""

from __future__ import annotations

from agents.coordinator.policy import CompiledPolicy
from agents.coordinator.ruling import Case, Grounds
from agents.coordinator.usage import Usage
from contracts import FreezeRow, JsonObject, Timestamp, moment
from store import Decisions

_HISTORY = 20


class Facts:
    """Gathers facts; what costs a read is gathered only if some rule reads it."""

    def __init__(self, decisions: Decisions, usage: Usage) -> None:
        self._decisions = decisions
        self._usage = usage

    async def gather(
        self,
        case: Case,
        grounds: Grounds,
        policy: CompiledPolicy,
        freezes: tuple[FreezeRow, ...],
    ) -> JsonObject:
        """The facts as plain JSON; nobody has granted anything yet."""
        facts: JsonObject = {
            "plan": grounds.plan,
            "time": time_facts(case.at),
            "freeze": [{"scope": row.scope, "name": row.name} for row in freezes],
            "questions": [question.plain() for question in grounds.questions],
            "grants": [],
            "allowances": [],
            **grounds.facts,
        }
        if "usage" in policy.facts_read:
            budgets = policy.policy.budgets
            facts["usage"] = await self._usage.facts(case.decision, budgets, case.at)

        if "history" in policy.facts_read:
            facts["history"] = await self._history(case)

        return facts

    async def _history(self, case: Case) -> list[str]:
        conversation_id = case.decision.conversation_id
        if conversation_id is None:
            return []

        actions = await self._decisions.recent_actions(
            case.tenant, conversation_id, _HISTORY
        )
        return list(actions)


def time_facts(at: Timestamp) -> JsonObject:
    """The time (UTC) as rules read it; ``weekday`` is 1 on Mondays, 7 on Sundays."""
    return {
        "now": at,
        "date": at[:10],
        "hour": int(at[11:13]),
        "minute": int(at[14:16]),
        "weekday": moment(at).isoweekday(),
    }
