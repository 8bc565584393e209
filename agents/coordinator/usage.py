"""How full the budgets are: what rules may read, and what is refused outright."""

from __future__ import annotations

from contracts import Budget, Decision, JsonObject, PermanentError, Timestamp
from store import Budgets

_METERS = {
    "workflow.run": {"runs"},
    "run.retry": {"runs"},
    "batch.create": {"runs"},
    "tool.call": {"calls"},
    "conversation.turn": {"tokens", "cost"},
}
"""What an action is about to use; whoever uses it reserves it."""


class Usage:
    """Reads meters; settled and reserved amounts count alike."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    async def refuse_exceeded(
        self, decision: Decision, budgets: tuple[Budget, ...], at: Timestamp
    ) -> None:
        """Raise ``budget_exceeded`` if a budget of the action has nothing left."""
        meters = _METERS.get(decision.action, set())
        for budget in budgets:
            if budget.meter in meters:
                _refuse_full(budget, await self._used(decision, budget, at))

    async def facts(
        self, decision: Decision, budgets: tuple[Budget, ...], at: Timestamp
    ) -> JsonObject:
        """What is used, as ``usage.SCOPE.METER.WINDOW``, of every budgeted meter."""
        told: JsonObject = {}
        for budget in budgets:
            used = await self._used(decision, budget, at)
            meters = told.setdefault(budget.scope, {})
            meters.setdefault(budget.meter, {})[budget.window] = used

        return told

    async def _used(self, decision: Decision, budget: Budget, at: Timestamp) -> float:
        scope_id = _scope_id(decision, budget.scope)
        if scope_id is None:
            return 0.0

        tenant, window = decision.principal.tenant, budget.window_at(at)
        use = await self._budgets.use(
            tenant, budget.scope, scope_id, budget.meter, window
        )
        return use.settled + use.reserved


def _scope_id(decision: Decision, scope: str) -> str | None:
    principal = decision.principal
    return {
        "tenant": principal.tenant,
        "subject": principal.subject,
        "conversation": decision.conversation_id,
        "run": decision.run_id,
    }[scope]


def _refuse_full(budget: Budget, used: float) -> None:
    if used >= budget.limit:
        raise PermanentError(
            f"The {budget.scope}'s {budget.meter} of this {budget.window} are used up: "
            f"{used:g} of {budget.limit:g}.",
            code="budget_exceeded",
            details={**budget.plain(), "used": used},
        )
