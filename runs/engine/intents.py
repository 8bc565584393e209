"""From a listed call to its intent: permitted, refused or held; then said."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from contracts import Approval, Fault, JsonObject, TemporaryError
from contracts.definitions import Acting
from plans.plan import PlanNode
from runs.engine.answers import settle
from runs.engine.notices import Notice
from runs.engine.permits import Permits
from runs.engine.ports import Ports, Terms
from runs.engine.stepping import advance, again, complete, fail
from runs.engine.thinking import ModelCall, intend_to_ask, tell
from runs.engine.walk import Hold, Walk
from runs.steps.asking import called, told
from runs.tools import ToolCall

Call = ToolCall | ModelCall | Notice
"""What may be made once its intent is stored."""

_MOST_ASKED = 3
"""How often a verdict that came too late is asked for again."""


class Intents:
    """Decides over the listed calls of one run."""

    def __init__(
        self, ports: Ports, terms: Terms, try_again: Callable[[], None]
    ) -> None:
        """``try_again`` is called if somebody who may say no did not answer."""
        self._permits = Permits(ports, terms)
        self._approvals = ports.store.approvals
        self._try_again = try_again

    async def permit(self, walk: Walk) -> list[PlanNode]:
        """The nodes whose call may be made now; the others fail, wait or stay listed.

        If the run is to stop, none.
        """
        permitted: list[PlanNode] = []
        try:
            while walk.calls and walk.room and not walk.stopping:
                await self._decide(walk, permitted)
                advance(walk)
        except TemporaryError:
            self._try_again()

        if walk.stopping:
            walk.in_flight.difference_update(node.id for node in permitted)
            permitted.clear()

        return permitted

    async def settle(self, node_id: str, used: Mapping[str, float]) -> None:
        """A call has ended; what was set aside for it is used, by its meter."""
        await self._permits.settle(node_id, used)

    async def _decide(self, walk: Walk, permitted: list[PlanNode]) -> None:
        node = walk.plan.nodes[walk.calls[0]]
        refusal = await self._permits.refusal(walk, node)
        if refusal is None and node.type == "approval":
            await self._grant(walk, node)
        elif refusal is None:
            walk.in_flight.add(node.id)
            permitted.append(node)
        else:
            _refuse(walk, node, refusal)

        walk.calls.remove(node.id)

    async def _grant(self, walk: Walk, node: PlanNode) -> None:
        """People said yes: that is what the node has for output."""
        decision_id = walk.progress.node(node.id).decision_id or ""
        approval = await self._approvals.of_decision(walk.row.tenant, decision_id)
        settle(walk, node, "succeeded")
        complete(walk, node, _votes(approval))


def intend(walk: Walk, node: PlanNode, model_timeout_s: float) -> Call:
    """Say that the call is about to be made; the call that may be made once stored."""
    if node.type == "notify":
        return _intend_to_tell(walk, node)

    known, tool = walk.progress.node(node.id), node.tool
    given, key = known.input, f"{walk.row.id}:{node.id}:0"
    if node.prompt is not None:
        wish, within = known.wish, called(node, known)
        if wish is None or within is None:
            return intend_to_ask(walk, node, model_timeout_s)

        tool, given, key = within.tool, wish.input, f"{walk.row.id}:{node.id}:{wish.id}"

    if tool is None:
        raise TypeError(f"The node {node.id!r} calls no tool.")

    own = {"decision_id": known.decision_id} if known.decision_id else {}
    walk.log.say(
        "tool_call",
        node.id,
        known.attempt,
        call_id=f"call_{walk.progress.seq + 1}",
        tool=tool.name,
        input=given,
        effect=tool.effect,
        key=key,
        **own,
    )
    own_timeout = (
        node.definition.timeout_s if isinstance(node.definition, Acting) else None
    )
    return ToolCall(
        tool=tool,
        input=given or {},
        key=key,
        timeout_s=(None if node.prompt else own_timeout) or tool.timeout_s,
        tenant=walk.row.tenant,
        subject=walk.row.principal.subject,
        run_id=walk.row.id,
        node_id=node.id,
        attempt=known.attempt,
    )


def _intend_to_tell(walk: Walk, node: PlanNode) -> Notice:
    known = walk.progress.node(node.id)
    walk.log.say(
        "tool_call",
        node.id,
        known.attempt,
        call_id=f"call_{walk.progress.seq + 1}",
        tool="notify",
        input=known.input,
        effect="idempotent",
        key=f"{walk.row.id}:{node.id}:0",
    )
    text = str((known.input or {}).get("text", ""))
    return Notice(walk.row, node.id, text)


def _refuse(walk: Walk, node: PlanNode, refusal: Hold | Fault) -> None:
    known = walk.progress.node(node.id)
    wish = known.wish if node.prompt is not None else None
    if isinstance(refusal, Hold):
        walk.holds[node.id] = refusal
        if refusal.until is not None:
            walk.timers[node.id] = refusal.until
    elif refusal.code == "verdict_expired" and known.judged_again < _MOST_ASKED:
        settle(walk, node, "expired", refusal)
        again(walk, node, by="gate")
    elif wish is not None:
        settle(walk, node, "failed", refusal)
        tell(walk, node, told("failed", error=refusal.plain()))
    else:
        settle(walk, node, "failed", refusal)
        fail(walk, node, refusal)


def _votes(approval: Approval | None) -> JsonObject:
    votes = () if approval is None else approval.votes
    granted = [vote for vote in votes if vote.vote == "grant"]
    return {
        "approved": True,
        "by": [vote.subject for vote in granted],
        "comment": granted[-1].comment if granted else "",
    }
