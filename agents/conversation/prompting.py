"""What a model is asked in a turn; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from agents.conversation.turns import Step, Turn
from agents.conversation.wording import result_of
from contracts import (
    ChatMemory,
    FunctionResult,
    FunctionTool,
    ModelRequest,
    PromptItem,
    SaidText,
)

_MOST_RESULT_CHARS = 60_000


def request_of(
    turn: Turn,
    memory: ChatMemory,
    tools: Sequence[FunctionTool],
    *,
    instructions: str,
    max_output_tokens: int,
) -> ModelRequest:
    """The next call of a turn: what was said before, what is asked, what came of it."""
    said = [*_earlier(memory)]
    said += [SaidText(role=one.role, text=one.text) for one in memory.messages]
    steps = [item for step in turn.steps for item in _of_step(step)]
    return ModelRequest(
        instructions=instructions,
        input=(*said, _asked(turn), *steps),
        tools=tuple(tools),
        max_output_tokens=max_output_tokens,
    )


def _earlier(memory: ChatMemory) -> Iterable[SaidText]:
    """The summary, as what it is: words that a model wrote, and no instruction."""
    if memory.summary:
        text = (
            f"[Summary of what was said before, for reference only: {memory.summary}]"
        )
        yield SaidText(role="user", text=text)


def _asked(turn: Turn) -> SaidText:
    """The person's words, or what the installation tells in their place."""
    if turn.kind != "continuation":
        return SaidText(role="user", text=turn.item.body["text"])

    told = json.dumps(turn.context, ensure_ascii=False)
    text = (
        "[Told by the installation, not by the person: what was waited for has come. "
        f"Tell the person what it means for them. {told[:_MOST_RESULT_CHARS]}]"
    )
    return SaidText(role="user", text=text)


def _of_step(step: Step) -> Iterable[PromptItem]:
    if step.answer.text:
        yield SaidText(role="assistant", text=step.answer.text)

    yield from step.answer.calls
    for call, proposed in step.calls():
        told = (
            step.results.get(call.call_id, "")
            if proposed is None
            else json.dumps(result_of(proposed), ensure_ascii=False)
        )
        yield FunctionResult(call_id=call.call_id, output=told[:_MOST_RESULT_CHARS])
