"""All aggregates on one database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from store.mongo.approvals import MongoApprovals
from store.mongo.budgets import Meters, MongoBudgets
from store.mongo.conversations import MongoConversations
from store.mongo.counting import counts_of
from store.mongo.database import Database
from store.mongo.decisions import MongoDecisions
from store.mongo.definitions import MongoDefinitions
from store.mongo.door_records import MongoDoorRecords
from store.mongo.effects import MongoEffects
from store.mongo.freezes import MongoFreezes
from store.mongo.idempotency import MongoIdempotency
from store.mongo.keys import MongoKeys
from store.mongo.ledger import MongoLedger
from store.mongo.migrations import migrate, touch
from store.mongo.opening import DEADLINE_S, client_of, database_of, greet, unless_alone
from store.mongo.policies import MongoPolicies
from store.mongo.runs import MongoRuns
from store.mongo.schema import STEPS
from store.mongo.workers import MongoWorkers
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


class MongoStore:
    """Store in a MongoDB database that many processes share."""

    def __init__(self, database: Database) -> None:
        meters = Meters(database)
        self.database = database
        self.decisions: Decisions = MongoDecisions(database)
        self.approvals: Approvals = MongoApprovals(database)
        self.effects: Effects = MongoEffects(database)
        self.ledger: Ledger = MongoLedger(database)
        self.runs: Runs = MongoRuns(database, meters)
        self.conversations: Conversations = MongoConversations(database)
        self.definitions: Definitions = MongoDefinitions(database)
        self.keys: Keys = MongoKeys(database)
        self.freezes: Freezes = MongoFreezes(database)
        self.policies: Policies = MongoPolicies(database)
        self.budgets: Budgets = MongoBudgets(database, meters)
        self.idempotency: Idempotency = MongoIdempotency(database)
        self.door_records: DoorRecords = MongoDoorRecords(database)
        self.workers: Workers = MongoWorkers(database)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, deadline_s: float = DEADLINE_S
    ) -> AsyncIterator[MongoStore]:
        """The store of this URL, its schema brought up to date.

        Raises ConfigurationError for a URL without a database or with less than
        majority and journal, a server outside a replica set or a newer schema;
        StoreUnavailable if no server answers within the deadline.
        """
        client = client_of(url, deadline_s)
        database = database_of(client, url)
        await unless_alone(url)
        async with client:
            await greet(client)
            await migrate(database, STEPS)
            store = cls(database)
            try:
                yield store
            finally:
                await store.close()

    async def ping(self) -> None:
        """See Store."""
        await touch(self.database)

    async def counts(self) -> dict[str, int]:
        """See Store."""
        return await counts_of(self.database)

    async def close(self) -> None:
        """See Store."""
        await self.database.close()
