"""A checker of writers must find the one who wrote after somebody else had claimed."""

from __future__ import annotations

from tests.faults.writers import Writing, check_writers

CREATED = Writing("entry", 1, ("run_created",))
CLAIMED = Writing("a", 2, ("run_claimed", "run_started"))
TAKEN_OVER = Writing("b", 5, ("run_claimed",))


def test_the_owner_of_a_run_may_write_until_another_claims_it() -> None:
    log = [
        CREATED,
        CLAIMED,
        Writing("a", 4, ("node_start",)),
        TAKEN_OVER,
        Writing("b", 6, ("workflow_complete",)),
    ]

    assert list(check_writers({"run_1": log})) == []


def test_an_append_after_somebody_else_claimed_is_found() -> None:
    log = [CREATED, CLAIMED, TAKEN_OVER, Writing("a", 6, ("node_complete",))]

    (found,) = check_writers({"run_1": log})

    assert found.promise == "stale"
    assert found.subject == "run_1"
    assert found.sentence == "at 6: a wrote after b had claimed"
