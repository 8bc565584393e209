"""An id is read where text is due."""

from __future__ import annotations

from contracts import DecisionId, RunId, derived_id, new_id


def make() -> tuple[DecisionId, RunId]:
    """Ids are made as text and named once, where their kind is known."""
    decision = DecisionId(new_id("dec"))
    return decision, RunId(derived_id("run", decision, 0))
