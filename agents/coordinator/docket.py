"""The docket: what follows from a recorded decision, first time or again."""

from __future__ import annotations

from agents.coordinator.approvals.voting import Voting
from agents.coordinator.releasing import Asker, Releases
from contracts import (
    Approved,
    Awaiting,
    Clock,
    DecisionRecord,
    Outcome,
    Verdict,
    stamp,
)
from store import Store


class Docket:
    """Goes on with decisions from their record, wherever a crash left them.

    Guarantees: everything here may be done again; the store says what is new.
    """

    def __init__(
        self, store: Store, releases: Releases, voting: Voting, clock: Clock
    ) -> None:
        self._decisions = store.decisions
        self._approvals = store.approvals
        self._releases = releases
        self._voting = voting
        self._clock = clock

    async def proceed(self, record: DecisionRecord, asker: Asker) -> None:
        """Release the verdict in force; carry a vote out; tell what is settled.

        Raises TemporaryError.
        """
        verdict = await self.in_force(record)
        if record.outcome is not None:
            await self._tell_again(record, verdict, record.outcome, asker)
            return

        if record.state == "expired":
            await self.expire(record)
            return

        await self._releases.verdict(record, verdict, asker)
        if record.decision.dry_run:
            await self._tell_plan(record, verdict, asker)
        elif isinstance(verdict, Approved) and verdict.audience == "coordinator":
            await self._carry_vote(record, asker)

    async def in_force(self, record: DecisionRecord) -> Verdict:
        """The recorded verdict, or the one that people's votes led to."""
        if not isinstance(record.verdict, Awaiting) or record.decision.dry_run:
            return record.verdict

        approval = await self._approvals.of_decision(record.tenant, record.id)
        return (approval and approval.verdict) or record.verdict

    async def is_calm(self) -> bool:
        """Whether releasing again helps; to a bus with a backlog it would only add."""
        return await self._releases.is_calm()

    async def release_again(self, record: DecisionRecord, verdict: Approved) -> bool:
        """Release what nobody performed yet; False if that was not needed.

        A run or conversation that has it in its inbox needs it no second time.
        Raises TemporaryError.
        """
        if verdict.audience == "conversation":
            return await self._releases.to_conversation(record, verdict)

        if record.decision.proposer.kind == "run":
            return await self._releases.to_run(record, verdict)

        await self.proceed(record, Asker.then(record))
        return True

    async def expire(self, record: DecisionRecord) -> None:
        """End a decision that was never carried out, and tell who proposed it.

        If it was carried out in that very moment, they are told so.
        """
        expired = Outcome(decision_id=record.id, state="expired")
        at = stamp(self._clock.now())
        told = await self._decisions.settle(record.tenant, record.id, expired, at)
        await self._releases.outcome(record, told, Asker.then(record))

    async def _carry_vote(self, record: DecisionRecord, asker: Asker) -> None:
        outcome = await self._voting.carry(record)
        at = stamp(self._clock.now())
        await self._decisions.settle(record.tenant, record.id, outcome, at)
        await self._releases.outcome(record, outcome, asker)

    async def _tell_plan(
        self, record: DecisionRecord, verdict: Verdict, asker: Asker
    ) -> None:
        """A dry run ends with what would be done."""
        if isinstance(verdict, Approved):
            plan = {"dry_run": True, "plan": record.plan}
            told = Outcome(decision_id=record.id, state="succeeded", result=plan)
            await self._releases.outcome(record, told, asker)

    async def _tell_again(
        self,
        record: DecisionRecord,
        verdict: Verdict,
        outcome: Outcome,
        asker: Asker,
    ) -> None:
        """Who asks again after the end hears the same, marked as replayed."""
        await self._releases.again(record, verdict, asker)
        again = outcome.model_copy(update={"replayed": True})
        await self._releases.outcome(record, again, asker)
