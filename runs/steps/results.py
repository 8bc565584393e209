"""What became of a step: small values that the engine acts upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contracts import Fault, JsonObject, Timestamp


@dataclass(frozen=True, slots=True)
class Done:
    """It has its output; ``routes`` are given by nodes that choose them."""

    output: Any
    routes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """It wants its tool called with this input."""

    input: JsonObject


@dataclass(frozen=True, slots=True)
class Thinks:
    """It wants a model asked about this input."""

    input: JsonObject


@dataclass(frozen=True, slots=True)
class Tells:
    """It wants its chat told this."""

    input: JsonObject


@dataclass(frozen=True, slots=True)
class Asks:
    """It wants a person asked, who is shown this."""

    form: JsonObject


@dataclass(frozen=True, slots=True)
class Waits:
    """It goes on at a time, or with a signal (then the time is the latest)."""

    until: Timestamp | None = None
    signal: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """It failed; a ``breach`` of a contract ends the run whatever ``on_error`` says."""

    fault: Fault
    breach: bool = False


StepResult = Done | Calls | Thinks | Tells | Asks | Waits | Broken
"""What a step comes to."""
