"""Rows of runs: what never changes as one text, what changes as columns."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import NamedTuple

from contracts import (
    Conflict,
    Lease,
    Outcome,
    PermanentError,
    Reservation,
    RunRow,
    Timestamp,
)
from store.said import Settlement, settlement
from store.sqlite.budgets import refusal, reserve, use_up
from store.sqlite.listing import Source
from store.sqlite.rows import Row, one
from store.sqlite.settlements import ending, settle
from store.texts import json_of, with_fields

COLUMNS = "body, state, lease_owner, lease_until, wake_at"
"""What ``run_of`` reads."""

ALL = Source("created_at", "id", COLUMNS, "runs")
"""Every run of a tenant."""

BY_TAG = Source(
    "t.created_at",
    "t.run_id",
    "r.body, r.state, r.lease_owner, r.lease_until, r.wake_at",
    "run_tags t CROSS JOIN runs r ON r.tenant = t.tenant AND r.id = t.run_id",
)
"""The runs of one tag."""

_CHANGING = {"state", "lease", "wake_at"}
_THIS = "tenant = ? AND id = ?"


class NewRun(NamedTuple):
    """A run as it is written."""

    id: tuple[str, str]
    row: Row
    key: tuple[str, str, str] | None
    tags: list[Row]
    end: Settlement | None


def new_run(run: RunRow) -> NewRun:
    """A run made ready; that of index 0 settles its decision."""
    owner, until = (run.lease.owner, run.lease.until) if run.lease else (None, None)
    row = (
        run.tenant,
        run.id,
        run.workflow,
        run.key,
        run.batch_id,
        run.origin.kind,
        run.created_at,
        run.state.status,
        owner,
        until,
        run.wake_at,
        run.state.model_dump_json(),
        run.model_dump_json(exclude=_CHANGING),
    )
    return NewRun(
        (run.tenant, run.id),
        row,
        None if run.key is None else (run.tenant, run.workflow, run.key),
        [(run.tenant, tag, run.created_at, run.id) for tag in set(run.tags)],
        _end(run) if run.index == "0" else None,
    )


def _end(run: RunRow) -> Settlement:
    outcome = Outcome(
        decision_id=run.decision_id, state="succeeded", result={"run_id": run.id}
    )
    return settlement(run.tenant, run.decision_id, outcome, run.created_at)


def insert(
    connection: Connection, run: NewRun, reservations: Sequence[Reservation]
) -> Row | PermanentError | None:
    """Write a run; the row that was there before or a refusal, if there is one.

    Refusals are Conflict ``run_exists``, and PermanentError ``verdict_expired`` and
    ``budget_exceeded``.
    """
    found = (
        select(connection, *run.id)
        or _ended_without(connection, run)
        or _key_taken(connection, run.key)
        or refusal(connection, reservations)
    )
    if found is not None:
        return found

    reserve(connection, reservations)
    use_up(connection, reservations)
    connection.execute(
        "INSERT INTO runs (tenant, id, workflow, key, batch_id, origin, created_at, "
        "status, lease_owner, lease_until, wake_at, state, body) "
        "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        run.row,
    )
    if run.tags:
        connection.executemany("INSERT INTO run_tags VALUES (?,?,?,?)", run.tags)

    if run.end is not None:
        settle(connection, run.id[0], run.end)

    return None


def _ended_without(connection: Connection, run: NewRun) -> PermanentError | None:
    """Whether the run's decision is over, and came to something else."""
    if run.end is None or ending(connection, run.id[0], run.end) == run.end.outcome:
        return None

    return PermanentError(code="verdict_expired")


def _key_taken(
    connection: Connection, key: tuple[str, str, str] | None
) -> Conflict | None:
    sql = (
        "SELECT id FROM runs WHERE tenant = ? AND workflow = ? AND key = ? "
        "AND key IS NOT NULL AND NOT ended"
    )
    taken = None if key is None else one(connection, sql, key)
    if taken is None:
        return None

    return Conflict(code="run_exists", details={"run_id": taken[0]})


def select(connection: Connection, tenant: str, run_id: str) -> Row | None:
    """The columns of a run."""
    sql = f"SELECT {COLUMNS} FROM runs WHERE {_THIS}"
    return one(connection, sql, (tenant, run_id))


def claim(
    connection: Connection, run_id: tuple[str, str], lease: Lease, now: Timestamp
) -> Row | None:
    """Take a lease if nobody has it; the columns of the run, if it is ours now."""
    return one(
        connection,
        f"UPDATE runs SET lease_owner = ?, lease_until = ? WHERE {_THIS} "
        "AND NOT ended AND (lease_until IS NULL OR lease_until <= ? "
        f"OR (lease_owner = ? AND lease_until = ?)) RETURNING {COLUMNS}",
        (lease.owner, lease.until, *run_id, now, lease.owner, lease.until),
    )


def renew(connection: Connection, run_id: tuple[str, str], lease: Lease) -> bool:
    """Move the end of a lease that is held; whether it was."""
    renewed = connection.execute(
        f"UPDATE runs SET lease_until = ? WHERE {_THIS} AND lease_owner = ?",
        (lease.until, *run_id, lease.owner),
    ).rowcount
    return renewed == 1


def release(connection: Connection, run_id: tuple[str, str], owner: str) -> None:
    """Give up a lease if it is held."""
    connection.execute(
        "UPDATE runs SET lease_owner = NULL, lease_until = NULL "
        f"WHERE {_THIS} AND lease_owner = ?",
        (*run_id, owner),
    )


def void_leases(connection: Connection) -> int:
    """Give up every lease; how many there were."""
    return connection.execute(
        "UPDATE runs SET lease_owner = NULL, lease_until = NULL "
        "WHERE due IS NOT NULL AND lease_until IS NOT NULL"
    ).rowcount


def run_of(row: Row) -> RunRow:
    """The run of these columns."""
    body, state, owner, until, wake_at = row
    lease = None if until is None else {"owner": owner, "until": until}
    text = with_fields(
        body, state=state, lease=json_of(lease), wake_at=json_of(wake_at)
    )
    return RunRow.model_validate_json(text)
