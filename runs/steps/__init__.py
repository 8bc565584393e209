"""Steps: what each node type comes to, as pure evaluation."""

from __future__ import annotations

from runs.steps.registry import STEPS, evaluate, input_breach, output_breach
from runs.steps.results import (
    Asks,
    Broken,
    Calls,
    Done,
    StepResult,
    Tells,
    Thinks,
    Waits,
)

__all__ = [
    "STEPS",
    "Asks",
    "Broken",
    "Calls",
    "Done",
    "StepResult",
    "Tells",
    "Thinks",
    "Waits",
    "evaluate",
    "input_breach",
    "output_breach",
]
