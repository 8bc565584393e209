"""The gate: validates, resolves, gathers facts and judges; writes nothing."""

from __future__ import annotations

from agents.coordinator.facts import Facts
from agents.coordinator.grounds import Groundwork
from agents.coordinator.intake import Intake, check_in_time, check_not_frozen
from agents.coordinator.policy import CompiledPolicy, Judgement, judge
from agents.coordinator.policy_book import PolicyBook
from agents.coordinator.preflight import Preflight
from agents.coordinator.ruling import Ruling
from agents.coordinator.settings import GateSettings
from agents.coordinator.usage import Usage
from contracts import (
    Clock,
    Decision,
    Fault,
    PermanentError,
    Timestamp,
    stamp,
)
from store import Store


class Gate:
    """Rules on decisions.

    Guarantees: a ruling has no effect, so it may be made again, for a dry run, for
    an explanation, after a crash. What is not valid, permitted or possible comes
    back as a refusal; only a store that does not answer raises.
    """

    def __init__(
        self, store: Store, book: PolicyBook, clock: Clock, settings: GateSettings
    ) -> None:
        self.settings = settings
        self._book = book
        self._clock = clock
        self._freezes = store.freezes
        self._intake = Intake(store.runs)
        self._groundwork = Groundwork(store)
        self._preflight = Preflight(store.workers, clock, settings)
        self._usage = Usage(store.budgets)
        self._facts = Facts(store.decisions, self._usage)

    async def hear(
        self, decision: Decision, *, not_after: Timestamp | None = None
    ) -> Ruling:
        """The ruling on a decision that was just proposed.

        After its ``not_after``, or the given one, it is refused.
        Raises StoreUnavailable.
        """
        return await self._rule(decision, (decision.not_after, not_after))

    async def hear_again(self, decision: Decision) -> Ruling:
        """The ruling on a decision that waits for people, before their votes count.

        Its ``not_after`` no longer counts. Raises StoreUnavailable.
        """
        return await self._rule(decision, ())

    async def _rule(
        self, decision: Decision, limits: tuple[Timestamp | None, ...]
    ) -> Ruling:
        at, policy = stamp(self._clock.now()), self._book.current
        try:
            check_in_time(at, *limits)
            return await self._judged(decision, at, policy)
        except PermanentError as error:
            return _invalid(decision, at, policy, error)

    async def _judged(
        self, decision: Decision, at: Timestamp, policy: CompiledPolicy
    ) -> Ruling:
        case = await self._intake.admit(decision, at)
        freezes = await self._freezes.of(case.tenant)
        check_not_frozen(freezes, decision.action, frozenset())
        grounds = await self._groundwork.lay(case)
        check_not_frozen(freezes, decision.action, grounds.frozen_by)
        await self._preflight.check(grounds.needs)
        await self._usage.refuse_exceeded(decision, policy.policy.budgets, at)
        facts = await self._facts.gather(case, grounds, policy, freezes)
        plain = decision.plain()
        judgement = judge(plain, facts, policy)
        return Ruling(decision, plain, at, policy, judgement, grounds, facts)


def _invalid(
    decision: Decision, at: Timestamp, policy: CompiledPolicy, error: PermanentError
) -> Ruling:
    judgement = Judgement("refused", message=error.message)
    plain, fault = decision.plain(), Fault.of(error)
    return Ruling(decision, plain, at, policy, judgement, fault=fault)
