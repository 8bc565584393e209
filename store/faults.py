"""A store whose verbs fail as real ones do: shipped, so that anybody can try it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar, cast

from contracts import StoreUnavailable
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
    Store,
    Workers,
)

T = TypeVar("T")

FaultKind = Literal["unavailable", "timeout", "execute_and_timeout"]
"""Refused at once; not executed and told so late; executed, but told it was not."""

ANY = "*"
"""Every verb of every aggregate."""


class Chances(NamedTuple):
    """How often each fault happens to a verb, from 0 to 1; together at most 1."""

    unavailable: float = 0.0
    timeout: float = 0.0
    execute_and_timeout: float = 0.0


class Faults:
    """Which calls fail: by chance from a seed, or because it was said.

    ``chances`` are by verb (``runs.append``), aggregate (``runs``) or ``ANY``, the
    nearest counts, and may be changed at any time. ``happened`` counts the faults by
    verb and kind.
    """

    def __init__(
        self, seed: int | str = 0, chances: Mapping[str, Chances] | None = None
    ) -> None:
        self.happened: Counter[tuple[str, FaultKind]] = Counter()
        self.chances = dict(chances or {})
        self._random = random.Random(seed)
        self._said: list[tuple[str, FaultKind]] = []

    def next(self, verb: str, fault: FaultKind) -> None:
        """The next call of this verb meets this fault, whatever the chances."""
        self._said.append((verb, fault))

    async def around(self, verb: str, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call, unless a fault happens to it.

        Raises StoreUnavailable for every kind of fault, as a store would.
        """
        fault = self._fault_of(verb)
        if fault is None:
            return await call()

        self.happened[verb, fault] += 1
        if fault == "execute_and_timeout":
            await call()

        raise StoreUnavailable(f"Fault in {verb}: {fault}.")

    def _fault_of(self, verb: str) -> FaultKind | None:
        for said in self._said:
            if said[0] == verb:
                self._said.remove(said)
                return said[1]

        return self._by_chance(self._chances_of(verb))

    def _chances_of(self, verb: str) -> Chances:
        aggregate = verb.partition(".")[0]
        keys = (verb, aggregate, ANY)
        return next((self.chances[k] for k in keys if k in self.chances), Chances())

    def _by_chance(self, chances: Chances) -> FaultKind | None:
        drawn = self._random.random()
        for fault, chance in chances._asdict().items():
            if drawn < chance:
                return cast(FaultKind, fault)

            drawn -= chance

        return None


class FaultyStore:
    """A Store around a store; with no chances given it passes everything through."""

    def __init__(self, store: Store, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._store = store
        self.decisions = cast(Decisions, self._around("decisions"))
        self.approvals = cast(Approvals, self._around("approvals"))
        self.effects = cast(Effects, self._around("effects"))
        self.ledger = cast(Ledger, self._around("ledger"))
        self.runs = cast(Runs, self._around("runs"))
        self.conversations = cast(Conversations, self._around("conversations"))
        self.definitions = cast(Definitions, self._around("definitions"))
        self.keys = cast(Keys, self._around("keys"))
        self.freezes = cast(Freezes, self._around("freezes"))
        self.policies = cast(Policies, self._around("policies"))
        self.budgets = cast(Budgets, self._around("budgets"))
        self.door_records = cast(DoorRecords, self._around("door_records"))
        self.idempotency = cast(Idempotency, self._around("idempotency"))
        self.workers = cast(Workers, self._around("workers"))

    async def ping(self) -> None:
        """See Store."""
        await self.faults.around("store.ping", self._store.ping)

    async def counts(self) -> dict[str, int]:
        """See Store; it has no faults, because tests look through it."""
        return await self._store.counts()

    async def close(self) -> None:
        """See Store."""
        await self._store.close()

    def _around(self, aggregate: str) -> _Aggregate:
        return _Aggregate(getattr(self._store, aggregate), aggregate, self.faults)


class _Aggregate:
    """The verbs of an aggregate, each with a fault before or after it."""

    def __init__(self, inner: object, name: str, faults: Faults) -> None:
        self._inner = inner
        self._name = name
        self._faults = faults

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        inner = getattr(self._inner, verb)

        async def call(*args: Any, **named: Any) -> Any:
            return await self._faults.around(
                f"{self._name}.{verb}", lambda: inner(*args, **named)
            )

        return call
