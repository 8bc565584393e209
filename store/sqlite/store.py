"""All aggregates on one database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import Connection

from store.caches import Recent
from store.protocol import (
    Approvals,
    Budgets,
    Conversations,
    Decisions,
    Definitions,
    DoorRecords,
    Effects,
    Freezes,
    Idempotency,
    Keys,
    Ledger,
    Policies,
    Runs,
    Workers,
)
from store.sqlite.approvals import SqliteApprovals
from store.sqlite.budgets import SqliteBudgets
from store.sqlite.connection import Synchronous
from store.sqlite.conversations import SqliteConversations
from store.sqlite.decisions import SqliteDecisions
from store.sqlite.definitions import SqliteDefinitions
from store.sqlite.door_records import SqliteDoorRecords
from store.sqlite.effects import SqliteEffects
from store.sqlite.freezes import SqliteFreezes
from store.sqlite.idempotency import SqliteIdempotency
from store.sqlite.keys import SqliteKeys
from store.sqlite.ledger import SqliteLedger
from store.sqlite.policies import SqlitePolicies
from store.sqlite.runs import SqliteRuns
from store.sqlite.schema import COLLECTIONS, STEPS
from store.sqlite.settlements import RecentDecisions
from store.sqlite.workers import SqliteWorkers
from store.sqlite.writer import Database

_RECENT_DECISIONS = 512


class SqliteStore:
    """Store in one SQLite file that this process owns."""

    def __init__(self, database: Database) -> None:
        recent: RecentDecisions = Recent(_RECENT_DECISIONS)
        self.database = database
        self.decisions: Decisions = SqliteDecisions(database, recent)
        self.approvals: Approvals = SqliteApprovals(database, recent)
        self.effects: Effects = SqliteEffects(database, recent)
        self.ledger: Ledger = SqliteLedger(database)
        self.runs: Runs = SqliteRuns(database, recent)
        self.conversations: Conversations = SqliteConversations(database)
        self.definitions: Definitions = SqliteDefinitions(database)
        self.keys: Keys = SqliteKeys(database)
        self.freezes: Freezes = SqliteFreezes(database)
        self.policies: Policies = SqlitePolicies(database)
        self.budgets: Budgets = SqliteBudgets(database)
        self.idempotency: Idempotency = SqliteIdempotency(database)
        self.door_records: DoorRecords = SqliteDoorRecords(database)
        self.workers: Workers = SqliteWorkers(database)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: str | Path, *, synchronous: Synchronous = "FULL"
    ) -> AsyncIterator[SqliteStore]:
        """The store of this file, or of memory for ``:memory:``. See Database."""
        opening = Database.open(path, synchronous=synchronous, steps=STEPS)
        async with opening as database:
            yield cls(database)

    async def ping(self) -> None:
        """See Store."""
        await self.database.write(_touch)

    async def counts(self) -> dict[str, int]:
        """See Store."""
        return await self.database.read(_counts)

    async def close(self) -> None:
        """See Store."""
        await self.database.close()


def _touch(connection: Connection) -> None:
    connection.execute("UPDATE meta SET value = value WHERE name = 'schema_version'")


def _counts(connection: Connection) -> dict[str, int]:
    return {
        name: connection.execute(sql).fetchone()[0] for name, sql in COLLECTIONS.items()
    }
