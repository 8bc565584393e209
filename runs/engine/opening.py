"""Taking a run up: its log is read, the claim is said, what lies open is found.

What is said here is not stored yet; the first round stores it.
"""

from __future__ import annotations

from contracts import Fault, InboxItem, JsonObject, PermanentError, RunEvent, RunRow
from plans.fold import Progress, fold
from runs.engine.inbox import CLOCK, by_of
from runs.engine.log import RunLog
from runs.engine.recovery import recover
from runs.engine.waking import is_due
from runs.engine.walk import Walk
from store import Runs

_PAGE = 1_000

Items = tuple[InboxItem, ...]


async def progress_of(runs: Runs, row: RunRow) -> Progress:
    """The fold of the whole log. Raises StoreUnavailable."""
    progress = Progress()
    page: tuple[RunEvent, ...] = ()
    while not progress.seq or len(page) == _PAGE:
        page = await runs.events(row.tenant, row.id, after=progress.seq, limit=_PAGE)
        fold(page, progress)
        if not page:
            break

    return progress


async def take_up(walk: Walk, runs: Runs) -> Items | None:
    """Go on with a run that somebody may have had before.

    What lies in its inbox; None if it rests and nothing wakes it.
    Raises StoreUnavailable.
    """
    resting = _is_resting(walk.log)
    if resting:
        recover(walk)

    items = await runs.drain(walk.row.tenant, walk.row.id)
    if resting and not items:
        items = await _answered_by_clock(walk, runs)
        if not items:
            return None

    say_taken(walk.log, items)
    if not resting:
        recover(walk)

    return items


def say_taken(log: RunLog, items: Items = ()) -> None:
    """Say whose the run is now, and that it begins or goes on."""
    if log.progress.seq == 0:
        log.say("run_created", **_creation(log.row))

    log.say("run_claimed", worker=log.claim.owner)
    if any(item.kind == "cancel" for item in items):
        return

    if log.progress.status == "paused":
        log.say("run_resumed", by=by_of(items[0]))

    if log.progress.started_at is None:
        log.say("run_started")


def say_broken(log: RunLog, error: PermanentError) -> None:
    """End a run that cannot be carried on: its plan is gone."""
    say_taken(log)
    log.say("workflow_error", error=Fault.of(error).plain(), node_id=None)


def _is_resting(log: RunLog) -> bool:
    unstarted = log.row.state.paused_reason == "not_started"
    return log.progress.status == "paused" or (log.progress.seq == 0 and unstarted)


def _creation(row: RunRow) -> JsonObject:
    said: JsonObject = {
        "workflow": row.workflow,
        "version": row.workflow_version,
        "digest": row.workflow_digest,
        "decision_id": row.decision_id,
        "input": row.input,
        "origin": row.origin.plain(),
        "carried": sorted(row.carried),
    }
    if row.state.paused_reason == "not_started":
        said["waiting_on"] = list(row.state.waiting_on)

    return said


async def _answered_by_clock(walk: Walk, runs: Runs) -> Items:
    """If a timer is due, answer the point: a later answer of a person is too late."""
    if not is_due(walk):
        return ()

    point = InboxItem(
        id=f"answer:{walk.progress.paused_seq}",
        kind="resume",
        at=walk.log.at,
        body={"by": CLOCK},
    )
    await runs.put(walk.row.tenant, walk.row.id, point)
    return await runs.drain(walk.row.tenant, walk.row.id)
