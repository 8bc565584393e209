"""Intake: whether a decision may be judged at all, before anything is looked up."""

from __future__ import annotations

from collections.abc import Iterable

from agents.coordinator.ruling import Case
from contracts import (
    ACTIONS,
    ENDED,
    Decision,
    FreezeRow,
    NotFound,
    PermanentError,
    RunRow,
    Timestamp,
    read,
)
from contracts.action_args import CallTool
from store import Runs


class Intake:
    """Reads the arguments of a decision and checks who may propose it."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def admit(self, decision: Decision, at: Timestamp) -> Case:
        """The decision, ready to be resolved.

        Raises InvalidInput for arguments that break their model, NotFound for a run
        that is not there, PermanentError ``forbidden`` without the permission.
        """
        args = read(ACTIONS[decision.action].args, decision.args)
        case = Case(decision, args, at, await self._proposing_run(decision))
        _check_permission(case)
        return case

    async def _proposing_run(self, decision: Decision) -> RunRow | None:
        """The run that proposes, if one does; it acts for its own principal only."""
        if decision.proposer.kind != "run":
            return None

        run = await self._runs.get(decision.principal.tenant, decision.run_id or "")
        if run is None:
            raise NotFound("There is no run that could propose this.")

        if run.state.status in ENDED:
            raise PermanentError("The run has ended.", code="run_not_open")

        if run.principal.subject != decision.principal.subject:
            raise PermanentError("A run acts for its own subject.", code="forbidden")

        return run


def check_in_time(at: Timestamp, *limits: Timestamp | None) -> None:
    """Raise ``gate_unavailable`` after the first of these moments."""
    if any(limit is not None and at > limit for limit in limits):
        raise PermanentError(
            "The gate was reached too late; nothing happened.", code="gate_unavailable"
        )


def check_not_frozen(
    freezes: Iterable[FreezeRow], action: str, scopes: frozenset[tuple[str, str]]
) -> None:
    """Raise ``frozen`` if the tenant, or a tool or workflow of the plan, is."""
    if ACTIONS[action].freeze_exempt:
        return

    for row in freezes:
        if row.scope == "tenant" or (row.scope, row.name) in scopes:
            what = (
                "Everything" if row.scope == "tenant" else f"The {row.scope} {row.name}"
            )
            raise PermanentError(
                f"{what} is frozen. {row.reason}".rstrip(),
                code="frozen",
                details={"scope": row.scope, "name": row.name, "reason": row.reason},
            )


def is_pinned_call(case: Case) -> bool:
    """Whether a run calls a tool that was pinned when the run was approved."""
    args = case.args
    pins = case.run.pins if case.run else {}
    return isinstance(args, CallTool) and f"tool:{args.tool}" in pins


def _check_permission(case: Case) -> None:
    row, held = ACTIONS[case.decision.action], case.decision.principal.permissions
    wanted = "workflow.run" if is_pinned_call(case) else row.permission
    if wanted not in held:
        raise PermanentError(
            f"{case.decision.action} needs the permission {wanted}.",
            code="forbidden",
            details={"permission": wanted},
        )
