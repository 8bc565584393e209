"""What a model is asked, and what it says: plain values that a log can keep.

A call ends in exactly one ``ModelAnswer``. Only one that is ``completed`` may be
acted on; every other names what went wrong.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.message import JsonObject, Message

ModelText = Annotated[str, StringConstraints(max_length=1_048_576)]
FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""What providers allow as the name of a function."""

Tokens = Annotated[int, Field(ge=0, le=2**53 - 1)]


class SaidText(Message):
    """A text of the conversation: a person's, or the model's own."""

    type: Literal["text"] = "text"
    role: Literal["user", "assistant"]
    text: ModelText


class FunctionCall(Message):
    """A function that the model wants to have called."""

    type: Literal["function_call"] = "function_call"
    call_id: str
    name: str
    arguments: ModelText
    """As the model wrote them: JSON if it kept to the schema."""


class FunctionResult(Message):
    """What came of a function call, told to the model."""

    type: Literal["function_result"] = "function_result"
    call_id: str
    output: ModelText


PromptItem = Annotated[
    SaidText | FunctionCall | FunctionResult, Field(discriminator="type")
]


class FunctionTool(Message):
    """A function that the model may call."""

    name: FunctionName
    description: str = ""
    parameters: JsonObject
    """JSON Schema of its arguments, an object."""


class ModelRequest(Message):
    """One call of a model: all it is told, and how its answer is bounded."""

    instructions: ModelText
    input: tuple[PromptItem, ...]
    model: str = ""
    """Empty: the configured one."""

    output_schema: JsonObject | None = None
    """JSON Schema that the text shall keep to; None: prose."""

    schema_name: FunctionName = "answer"
    tools: tuple[FunctionTool, ...] = ()
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 4_096
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None


class ModelUsage(Message):
    """Tokens of a call, and its cost in the currency of the price table."""

    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cost: Annotated[float, Field(ge=0)] = 0.0
    is_estimate: bool = False
    """The provider told nothing usable: counted at the maximum."""

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens


ModelEnding = Literal[
    "completed",
    "incomplete",
    "refused",
    "failed",
    "cut_off",
    "timed_out",
    "too_large",
    "unavailable",
]
"""How a call ended.

``incomplete``: tokens or a filter cut the answer. ``refused``: the model declined.
``failed``: the provider said so. ``cut_off``: the stream ended without a terminal.
``timed_out``: the deadline or the idle timer. ``too_large``: beyond 256 KiB.
``unavailable``: it was never begun (connection, rate, quota).
"""


class ModelAnswer(Message):
    """The one end of a call."""

    ending: ModelEnding
    text: ModelText = ""
    """What is complete of the text; a refusal's words if ``refused``."""

    calls: tuple[FunctionCall, ...] = ()
    """In the order of the answer; none unless ``completed``."""

    usage: ModelUsage = ModelUsage()
    provider: str
    """``openai_responses``, or ``scripted``: then no model was asked."""

    model: str = ""
    response_id: str = ""
    request_id: str = ""
    attempts: int = 1
    latency_ms: float = 0.0
    code: str = ""
    """A key of the error table, unless ``completed``."""

    message: str = ""
    """What went wrong, for people; never holds a key."""

    retry_after_s: float | None = None
