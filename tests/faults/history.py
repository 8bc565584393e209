"""The history checker: whether one run's events can be what happened.

Pure: events and the shown run in, sentences out; nothing of the engine is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from contracts import TERMINAL, JsonObject, PermanentError, RunEvent, canonical
from plans.fold import fold

ANSWERS = frozenset({"tool_result", "tool_error", "tool_unknown"})

_SHOWN = (
    "status",
    "success",
    "paused_reason",
    "waiting_on",
    "current_step_index",
    "output",
    "error",
    "usage",
    "started_at",
    "finished_at",
    "last_activity_at",
)
_OF_NODES = ("status", "attempt", "started_at", "finished_at", "output", "error")


def problems_of(shown: JsonObject, events: Sequence[RunEvent]) -> list[str]:
    """Everything that does not hold of a run's history, one sentence each."""
    found = [*_numbering(events), *_end(events)]
    if found:
        return found

    return [
        *_beginning(events),
        *_calls(events),
        *_attempts(events),
        *_projection(shown, events),
    ]


def _numbering(events: Sequence[RunEvent]) -> Iterator[str]:
    seqs = [event.seq for event in events]
    if seqs != [*range(1, len(events) + 1)]:
        yield f"the events are numbered {seqs}"

    if len({event.id for event in events}) < len(events):
        yield "two events have one id"

    if any(a.at > b.at for a, b in pairwise(events)):
        yield "the time of the events goes back"


def _end(events: Sequence[RunEvent]) -> Iterator[str]:
    ends = [event.seq for event in events if event.type in TERMINAL]
    if len(ends) > 1 or any(seq != len(events) for seq in ends):
        yield f"terminal events at {ends} of {len(events)}"


def _beginning(events: Sequence[RunEvent]) -> Iterator[str]:
    if [event.type for event in events[:2]] != ["run_created", "run_claimed"]:
        yield "something was written before anybody owned the run"


def _calls(events: Sequence[RunEvent]) -> Iterator[str]:
    """Each answer has its one earlier intent, each intent at most one answer."""
    intents: set[str] = set()
    answers: Counter[str] = Counter()
    for event in events:
        call_id = event.payload.get("call_id", "")
        if event.type == "tool_call":
            if call_id in intents:
                yield f"two intents of call {call_id}"

            intents.add(call_id)
        elif event.type in ANSWERS:
            answers[call_id] += 1
            if call_id not in intents:
                yield f"an answer at {event.seq} without its intent"

    yield from (f"two answers to call {one}" for one, n in answers.items() if n > 1)
    ended = bool(events) and events[-1].type in TERMINAL
    if ended and intents - set(answers):
        yield f"no answer to calls {sorted(intents - set(answers))}"


def _attempts(events: Sequence[RunEvent]) -> Iterator[str]:
    """A node ends an attempt that it began, and each attempt ends at most once."""
    open_: set[tuple[str | None, int | None]] = set()
    for event in events:
        attempt = (event.node_id, event.attempt)
        if event.type == "node_start":
            open_.add(attempt)
        elif event.type in ("node_complete", "node_error"):
            if attempt not in open_:
                yield f"{event.type} at {event.seq} of an attempt that never began"

            open_.discard(attempt)


def _projection(shown: JsonObject, events: Sequence[RunEvent]) -> Iterator[str]:
    """The fold of the events is what is shown, byte for byte."""
    try:
        state = fold(events).state()
    except PermanentError as error:
        yield f"the events do not fold: {error.message}"
        return

    folded = state.plain() | {"success": state.success}
    for name in _SHOWN:
        if canonical(shown[name]) != canonical(folded[name]):
            yield f"{name} is shown as {shown[name]!r}, folds to {folded[name]!r}"

    if _nodes(shown["steps_state"]) != _nodes(folded["steps_state"]):
        yield "steps_state is not what the events fold to"


def _nodes(steps: JsonObject) -> bytes:
    return canonical(
        {
            name: {part: node.get(part) for part in _OF_NODES}
            for name, node in steps.items()
        }
    )
