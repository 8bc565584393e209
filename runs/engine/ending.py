"""Letting a run rest: its end or its pause is said, and who follows is proposed."""

from __future__ import annotations

from typing import assert_never

from contracts import Decision, JsonObject
from runs.engine.proposals import failure_decision
from runs.engine.resting import Canceled, Completed, Failed, Paused, Rest
from runs.engine.walk import Walk


def say_rest(walk: Walk, rest: Rest) -> None:
    """Say the event that the run rests with."""
    match rest:
        case Completed(output):
            walk.log.say("workflow_complete", output=output)
        case Failed(error, node_id):
            walk.log.say("workflow_error", error=error.plain(), node_id=node_id)
        case Canceled(reason):
            walk.log.say("run_canceled", reason=reason)
        case Paused():
            _say_paused(walk, rest)
        case _:
            assert_never(rest)


def follower(walk: Walk, rest: Rest, ttl_s: float) -> Decision | None:
    """The decision that follows a failure, or a run that needs attention."""
    told: JsonObject = {"seq": walk.progress.seq, "error": None}
    if isinstance(rest, Failed):
        told |= {"status": "failed", "error": rest.error.plain()}
    elif isinstance(rest, Paused) and rest.reason == "needs_attention":
        told |= {"status": "needs_attention", "waiting_on": list(rest.waiting_on)}
    else:
        return None

    return failure_decision(walk.row, walk.plan, told, at=walk.log.at, ttl_s=ttl_s)


def _say_paused(walk: Walk, rest: Paused) -> None:
    """Signals that came early are kept with the pause: the inbox may be emptied."""
    early = [
        {"id": signal.id, "name": signal.name, "payload": signal.payload}
        for signal in walk.early
    ]
    for signal in walk.early:
        walk.log.handle(signal.id)

    kept: JsonObject = {"signals": early} if early else {}
    waiting_on = list(rest.waiting_on)
    walk.log.say("run_paused", reason=rest.reason, waiting_on=waiting_on, **kept)
    walk.early.clear()
