"""What calls the world outside: every effect leaves through here."""

from __future__ import annotations

from runs.effects.results import (
    CallResult,
    Failed,
    Retryable,
    Succeeded,
    Unknown,
    UnknownReason,
    unsuccessful,
)

__all__ = [
    "CallResult",
    "Failed",
    "Retryable",
    "Succeeded",
    "Unknown",
    "UnknownReason",
    "unsuccessful",
]
