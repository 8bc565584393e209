"""An id of one kind is not an id of another."""

from __future__ import annotations

from contracts import DecisionId, RunId


def forget(decision: DecisionId) -> None:
    """Something that takes the id of a decision."""


def confuse(run: RunId) -> None:
    """A run is given where a decision is due."""
    forget(run)  # expect: arg-type
    forget("dec_0")  # expect: arg-type
