"""Nodes that ask a model: what is said before and after each call, and what follows.

A node asks, hears, has the functions that the model called judged and made one after
the other, tells the model, and asks again. Everything follows from the log: an answer
that was stored is never paid twice.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from contracts import (
    Fault,
    FunctionCall,
    JsonObject,
    ModelAnswer,
    ModelRequest,
    RunEvent,
    derived_id,
)
from contracts.definitions import Acting
from plans.plan import PlanNode, StageTool
from plans.progress import NodeProgress, Wish
from runs.effects import CallResult, Failed, Retryable, Succeeded, Unknown
from runs.engine.answers import again_or_fail, settle
from runs.engine.failing import may_retry, unknown_fault
from runs.engine.stepping import complete, fail, retry, unfit
from runs.engine.walk import Walk
from runs.steps.asking import (
    MOST_WISHES,
    answered,
    called,
    objection,
    request_of,
    told,
    wish_of,
)

_AGAIN = frozenset({"model_unavailable", "model_timeout"})
"""What another attempt of the node may mend."""


class ModelCall(NamedTuple):
    """A call of a model that may be made now: its intent is in the run's log."""

    request: ModelRequest
    timeout_s: float
    run_id: str
    node_id: str


def intend_to_ask(walk: Walk, node: PlanNode, timeout_s: float) -> ModelCall:
    """Say that the model is about to be asked; the call that may then be made."""
    known = walk.progress.node(node.id)
    assert node.prompt is not None
    request = request_of(node, known)
    walk.log.say(
        "model_request",
        node.id,
        known.attempt,
        call_id=f"call_{walk.progress.seq + 1}",
        stage=node.prompt.stage.name,
        turn=len(known.turns) + 1,
    )
    own = node.definition.timeout_s if isinstance(node.definition, Acting) else None
    return ModelCall(request, own or timeout_s, walk.row.id, node.id)


def hear(walk: Walk, node: PlanNode, result: ModelAnswer | CallResult | None) -> None:
    """Say how the node's open call ended, and what follows.

    None: the model was not waited for.
    """
    known = walk.progress.node(node.id)
    if known.call is None:
        return

    call_id = known.call.call_id
    if isinstance(result, Succeeded | Failed | Retryable | Unknown):
        what, said = _of_tool(called(node, known), result)
        event = walk.log.say(what, node.id, known.attempt, call_id=call_id, **said)
    else:
        event = _say_answer(walk, node, call_id, result)

    conclude(walk, node, event)


def lose(walk: Walk, node: PlanNode) -> None:
    """The worker that asked is gone, and the answer with it: ask again."""
    known = walk.progress.node(node.id)
    assert known.call is not None
    error = Fault(code="model_unavailable", message="The worker that asked is gone.")
    said = {"error": error.plain(), "again": True, "crashed": True}
    event = walk.log.say(
        "model_error", node.id, known.attempt, call_id=known.call.call_id, **said
    )
    conclude(walk, node, event)


def conclude(walk: Walk, node: PlanNode, event: RunEvent) -> None:
    """Say what follows from an answer of the model, or of a tool that it called."""
    said = event.payload
    match event.type:
        case "model_response":
            go_on(walk, node)
        case "model_error":
            _on_model_error(walk, node, said)
        case "tool_result":
            settle(walk, node, "succeeded")
            tell(walk, node, told("succeeded", result=said["output"]))
        case "tool_error":
            _on_tool_error(walk, node, said)
        case _:
            _on_unknown(walk, node, said)


def go_on(walk: Walk, node: PlanNode) -> None:
    """What the last answer leads to: a function, a repair, or the node's end."""
    known = walk.progress.node(node.id)
    if not known.turns:
        walk.calls.append(node.id)
        return

    turn, wish = known.turns[-1], known.wish
    if wish is not None and wish.decision_id is None:
        tell(walk, node, objection(node, wish))
    elif wish is not None:
        (walk.asks if walk.needs_decision(node) else walk.calls).append(node.id)
    elif turn.wishes or (turn.breach and _may_repair(node, known)):
        walk.calls.append(node.id)
    else:
        _end(walk, node, turn.text)


def tell(walk: Walk, node: PlanNode, output: str) -> None:
    """Let the model know of the function that it waits for, and go on."""
    known = walk.progress.node(node.id)
    wish = known.wish
    if wish is None:
        return

    walk.verdicts.pop(node.id, None)
    walk.timers.pop(node.id, None)
    walk.holds.pop(node.id, None)
    walk.log.say("model_told", node.id, known.attempt, function=wish.id, output=output)
    go_on(walk, node)


def resolve(walk: Walk, node: PlanNode, resolution: Any, result: Any) -> None:
    """Somebody knows whether the function's call happened; the model is told."""
    if resolution == "happened":
        tell(walk, node, told("succeeded", result=result or {}))
    elif resolution == "did_not_happen":
        tell(walk, node, told("failed", error={"message": "It did not happen."}))


def _say_answer(
    walk: Walk, node: PlanNode, call_id: str, answer: ModelAnswer | None
) -> RunEvent:
    known = walk.progress.node(node.id)
    fault, again = _fault_of(node, known, answer)
    if answer is None or fault is not None:
        used = _usage(answer) if answer is not None else {}
        after_s = answer.retry_after_s if answer is not None else None
        error = fault.plain() if fault is not None else None
        said = {"error": error, "again": again, "after_s": after_s, **used}
        return walk.log.say(
            "model_error", node.id, known.attempt, call_id=call_id, **said
        )

    wishes = [asdict(_wish(walk, node, n, call)) for n, call in enumerate(answer.calls)]
    breach = None if wishes else answered(node, answer.text).breach
    more: JsonObject = {"functions": wishes} if wishes else {}
    if breach is not None:
        more["breach"] = breach.plain()

    return walk.log.say(
        "model_response",
        node.id,
        known.attempt,
        call_id=call_id,
        text=answer.text,
        provider=answer.provider,
        model=answer.model,
        response_id=answer.response_id,
        request_id=answer.request_id,
        latency_ms=answer.latency_ms,
        **_usage(answer),
        **more,
    )


def _fault_of(
    node: PlanNode, known: NodeProgress, answer: ModelAnswer | None
) -> tuple[Fault | None, bool]:
    """Why an answer cannot be used, and whether another attempt may mend it."""
    if answer is None:
        return Fault(code="canceled", message="The model was not waited for."), False

    if answer.ending != "completed":
        code = answer.code or "llm_bad_output"
        return Fault(code=code, message=answer.message or code), code in _AGAIN

    if len(answer.calls) > MOST_WISHES:
        message = f"The model calls {len(answer.calls)} functions at once."
        return Fault(code="too_many_calls", message=message), False

    assert node.prompt is not None
    if answer.calls and len(known.turns) + 1 >= node.prompt.stage.max_turns:
        message = "The model would go on calling functions."
        return Fault(code="turn_limit", message=message), False

    said = [answer.text, *(call.arguments for call in answer.calls)]
    error = unfit(f"answer at node {node.id}", said)
    return (Fault.of(error), False) if error is not None else (None, False)


def _usage(answer: ModelAnswer) -> JsonObject:
    used = answer.usage
    usage = {
        "tokens": used.tokens,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
    }
    return {"usage": usage, "cost": used.cost}


def _wish(walk: Walk, node: PlanNode, n: int, call: FunctionCall) -> Wish:
    known = walk.progress.node(node.id)
    turn = len(known.turns) + 1
    id_ = f"{turn}.{n}"
    return wish_of(node, id_, call, derived_id("dec", walk.row.id, node.id, id_))


def _of_tool(tool: StageTool | None, result: CallResult) -> Any:
    match result:
        case Succeeded(output, breach):
            error = unfit("output of the function", output)
            problems = (
                tool.output_schema.problems(output)
                if tool is not None and tool.output_schema is not None
                else []
            )
            if error is not None:
                return "tool_error", {"error": Fault.of(error).plain(), "again": False}

            if breach is not None or problems:
                told_ = breach or Fault(
                    code="output_invalid", message=problems[0].message
                )
                return "tool_error", {"error": told_.plain(), "again": False}

            return "tool_result", {"output": output}
        case Failed(error_):
            return "tool_error", {"error": error_.plain(), "again": False}
        case Retryable(error_, after_s):
            said = {"error": error_.plain(), "again": True, "after_s": after_s}
            return "tool_error", said
        case Unknown(reason, error_):
            return "tool_unknown", {"reason": reason, "error": error_.plain()}


def _on_model_error(walk: Walk, node: PlanNode, said: JsonObject) -> None:
    error = Fault(**said["error"])
    if said.get("crashed"):
        walk.calls.append(node.id)
    elif said["again"]:
        again_or_fail(walk, node, error, said.get("after_s"))
    else:
        fail(walk, node, error)


def _on_tool_error(walk: Walk, node: PlanNode, said: JsonObject) -> None:
    """The call is made again if its tool allows it; else the model is told."""
    error = Fault(**said["error"])
    if said["again"] and _may_call_again(walk, node):
        retry(walk, node, error, said.get("after_s"))
    else:
        settle(walk, node, "failed", error)
        tell(walk, node, told("failed", error=said["error"]))


def _on_unknown(walk: Walk, node: PlanNode, said: JsonObject) -> None:
    """An idempotent call is made again; any other waits for a person."""
    error = Fault(**said["error"]) if "error" in said else None
    if walk.progress.node(node.id).effect == "non_idempotent":
        settle(walk, node, "unknown", error)
    elif said.get("crashed"):
        walk.calls.append(node.id)
    elif _may_call_again(walk, node):
        retry(walk, node, error or unknown_fault(node.id, said["reason"]), None)
    else:
        settle(walk, node, "failed", error)
        tell(walk, node, told("unknown", reason=said["reason"]))


def _may_call_again(walk: Walk, node: PlanNode) -> bool:
    return not walk.stopping and may_retry(node, walk.progress.node(node.id))


def _may_repair(node: PlanNode, known: NodeProgress) -> bool:
    """Whether the model may answer once more: never twice."""
    assert node.prompt is not None
    wants = node.prompt.stage.on_invalid == "repair_once"
    return wants and sum(1 for turn in known.turns if turn.breach) == 1


def _end(walk: Walk, node: PlanNode, text: str) -> None:
    """The node's end: its value, its way, or the breach of its contract."""
    assert node.prompt is not None
    routes, default = node.prompt.routes, node.prompt.default
    output, breach = answered(node, text)
    if breach is not None and default is None:
        fail(walk, node, breach, breach=True)
    elif routes:
        name = output["route"] if breach is None else None
        taken = routes[name] if name is not None else default
        complete(walk, node, {"route": name}, taken=(str(taken),))
    else:
        complete(walk, node, output)
