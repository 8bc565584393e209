"""What comes from outside: rows of the run's inbox, each handled once by the owner.

An item's ``id`` is its natural key, and its body holds:

- ``verdict`` (``verdict:{verdict_id}``), ``outcome``: the message, plain;
- ``cancel`` (``cancel``): ``by``, ``reason``;
- ``resume``, ``retry``, ``start`` (``answer:{point}``): ``by``, ``node_id`` (or null
  for whatever waits), ``resolution``, ``result``;
- ``signal`` (``signal:{decision_id}``): ``name``, ``payload``.

``point`` is that of an entry of the run's ``waiting_on``: of many answers to one point
the store takes one.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import TypeAdapter
from pydantic_core import to_json

from contracts import InboxItem, JsonObject, Outcome, Verdict
from plans.plan import PlanNode
from plans.progress import NodeProgress, Signal
from runs.engine.stepping import again, complete, fail, hear
from runs.engine.thinking import resolve
from runs.engine.verdicts import take_outcome, take_verdict
from runs.engine.waking import let_go
from runs.engine.walk import Walk
from runs.steps import output_breach

_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
_MOST_EARLY = 32

CLOCK = "clock"
"""Who answers a point when its time has come."""


def take(walk: Walk, item: InboxItem) -> None:
    """Act on an item; the next append answers it, but for a signal that is early."""
    if item.kind == "signal":
        _signal(walk, item)
    else:
        walk.log.handle(item.id)
        _TAKERS[item.kind](walk, item)


def by_of(item: InboxItem) -> str:
    """Who an item comes from."""
    return str(item.body.get("by") or ("gate" if item.kind == "verdict" else "system"))


def _verdict(walk: Walk, item: InboxItem) -> None:
    take_verdict(walk, _VERDICT.validate_json(to_json(item.body)))


def _outcome(walk: Walk, item: InboxItem) -> None:
    take_outcome(walk, Outcome.model_validate_json(to_json(item.body)))


def _cancel(walk: Walk, item: InboxItem) -> None:
    if walk.progress.cancel is None:
        reason = str(item.body.get("reason") or "")
        walk.log.say("run_cancel_requested", by=by_of(item), reason=reason)


def _signal(walk: Walk, item: InboxItem) -> None:
    """Hand it to the node that waits for it, or keep it for one that will."""
    said = item.body
    signal = Signal(item.id, str(said.get("name")), said.get("payload") or {})
    waiting = _waiting_for(walk, signal.name)
    if waiting is not None or len(walk.early) >= _MOST_EARLY:
        walk.log.handle(item.id)
    else:
        walk.early.append(signal)

    if waiting is not None:
        hear(walk, waiting, signal)


def _waiting_for(walk: Walk, signal: str) -> PlanNode | None:
    for node in walk.in_order(walk.active):
        known = walk.progress.node(node.id)
        wait = known.wait if known.status == "waiting" else None
        if wait is not None and wait.get("signal") == signal:
            return node

    return None


def _answer(walk: Walk, item: InboxItem) -> None:
    """A person's answer to the nodes that still wait since that point."""
    if item.body.get("by") == CLOCK or walk.progress.cancel is not None:
        return

    wanted = item.body.get("node_id")
    point = int(item.id.removeprefix("answer:"))
    for node in walk.in_order(walk.active):
        known = walk.progress.node(node.id)
        meant = wanted in (None, node.id) and known.since <= point
        if meant and (known.status == "unknown" or not walk.stopping):
            _answer_node(walk, node, known, item)


def _answer_node(
    walk: Walk, node: PlanNode, known: NodeProgress, item: InboxItem
) -> None:
    if known.status == "unknown":
        _resolve(walk, node, item)
    elif node.id in walk.holds:
        let_go(walk, node, by_of(item))
    elif known.status == "retrying":
        walk.timers[node.id] = walk.log.at
    elif known.status == "failed":
        again(walk, node, by_of(item))
    elif known.wait is not None:
        complete(walk, node, item.body.get("result") or {}, by=by_of(item))


def _resolve(walk: Walk, node: PlanNode, item: InboxItem) -> None:
    """Somebody knows whether the call happened; without that it goes on waiting."""
    resolution = item.body.get("resolution")
    if node.prompt is not None:
        resolve(walk, node, resolution, item.body.get("result"))
    elif resolution == "did_not_happen":
        again(walk, node, by_of(item))
    elif resolution == "happened":
        _happened(walk, node, item.body.get("result"), by_of(item))


def _happened(walk: Walk, node: PlanNode, result: JsonObject | None, by: str) -> None:
    output = result or {}
    breach = output_breach(node, output)
    if breach is None:
        complete(walk, node, output, by=by)
    else:
        fail(walk, node, breach, breach=True)


_TAKERS: dict[str, Callable[[Walk, InboxItem], None]] = {
    "verdict": _verdict,
    "outcome": _outcome,
    "cancel": _cancel,
    "resume": _answer,
    "retry": _answer,
    "start": _answer,
}
