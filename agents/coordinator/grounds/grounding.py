"""Groundwork: resolves every name in a decision, the way its action means it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from agents.coordinator.approvals import ballots, check_approver
from agents.coordinator.grounds.calls import Calls
from agents.coordinator.grounds.lookups import Lookups
from agents.coordinator.grounds.planning import Planning
from agents.coordinator.grounds.saves import Saves
from agents.coordinator.grounds.starts import Starts
from agents.coordinator.ruling import NOTHING, Case, Grounds
from contracts import ENDED, InvalidInput, NotFound, RunRow
from contracts.action_args import Bind, Freeze, OfDefinition, OfRun, Vote
from contracts.definitions import DEFINITIONS, DefinitionKind
from store import Store

_Lay = Callable[[Case], Awaitable[Grounds]]


class Groundwork:
    """Finds what a decision rests on.

    Guarantees: it only reads; what is missing or wrong raises PermanentError with
    every problem at once; StoreUnavailable is all that is worth another try.
    """

    def __init__(self, store: Store) -> None:
        self._runs = store.runs
        self._approvals = store.approvals
        self._lookups = Lookups(store.definitions)
        self._planning = planning = Planning(self._lookups)
        self._starts = Starts(self._lookups, planning)
        calls, saves = Calls(self._lookups, planning), Saves(planning)
        self._by_action: dict[str, _Lay] = {
            "workflow.run": self._starts.run,
            "workflow.publish": self._starts.publish,
            "workflow.unpublish": self._named("workflow"),
            "batch.create": self._starts.batch,
            "tool.call": calls.call,
            "approval.request": calls.request,
            "approval.grant": self._vote,
            "approval.refuse": self._vote,
            "conversation.bind": self._bind,
            "freeze.set": _freeze,
            "freeze.clear": _freeze,
            "run.retry": self._retry,
            **dict.fromkeys(_OF_RUNS, self._of_run),
            **{f"{kind}.save": saves.of(kind) for kind in DEFINITIONS},
            **{f"{kind}.delete": self._named(kind) for kind in DEFINITIONS},
        }

    async def lay(self, case: Case) -> Grounds:
        """What this decision rests on."""
        lay = self._by_action.get(case.decision.action)
        return NOTHING if lay is None else await lay(case)

    def _named(self, kind: DefinitionKind) -> _Lay:
        async def lay(case: Case) -> Grounds:
            name = cast(OfDefinition, case.args).name
            await self._lookups.head(case.tenant, kind, name)
            return NOTHING

        return lay

    async def _bind(self, case: Case) -> Grounds:
        """The agent flow must be there, and be able to run as things are."""
        flow = cast(Bind, case.args).flow
        if flow is None:
            raise InvalidInput("Name the agent flow to talk to: flow.")

        head = await self._lookups.head(case.tenant, "flow", flow)
        await self._planning.of_head(head)
        return NOTHING

    async def _of_run(self, case: Case) -> Grounds:
        return _frozen_with(await self._run(case))

    async def _retry(self, case: Case) -> Grounds:
        """In place it is what was approved; of an ended run it is a new one."""
        run = await self._run(case)
        if run.state.status in ENDED:
            return await self._starts.again(run)

        return _frozen_with(run)

    async def _run(self, case: Case) -> RunRow:
        run_id = cast(OfRun, case.args).run_id
        run = await self._runs.get(case.tenant, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id!r}.")

        return run

    async def _vote(self, case: Case) -> Grounds:
        """What is voted on, by whom it may be, and that it still waits."""
        approval_id = cast(Vote, case.args).approval_id
        approval = await self._approvals.get(case.tenant, approval_id)
        if approval is None:
            raise NotFound(f"There is no approval {approval_id!r}.")

        if approval.state == "waiting" and approval.expires_at <= case.at:
            approval = ballots.expired(approval, approval.expires_at)

        if approval.state != "waiting":
            raise ballots.not_waiting(approval)

        check_approver(approval, case.decision.principal)
        return Grounds(facts={"approval": ballots.what_is_asked(approval)})


_OF_RUNS = ("run.cancel", "run.resume", "run.signal", "run.hold")


def _frozen_with(run: RunRow) -> Grounds:
    return Grounds(frozen_by=frozenset({("workflow", run.workflow)}))


async def _freeze(case: Case) -> Grounds:
    args = cast(Freeze, case.args)
    if (args.scope == "tenant") != (args.name is None):
        raise InvalidInput("A frozen tool or workflow is named; a tenant is not.")

    return NOTHING
