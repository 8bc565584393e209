"""Who wrote a run's log: after one worker claimed it, nobody else may write.

The names are those that the store keeps beside the events, not the product's own words
about itself; the check is pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.faults.violations import Violation
from tests.support.servers import MongoServer, direct_client

_READ_S = 30.0


class Writing(NamedTuple):
    """One append: who wrote it, where it began, and what it says."""

    owner: str
    first: int
    types: tuple[str, ...]


Writings = Mapping[str, Sequence[Writing]]
"""The appends of runs by their ids, in order."""


async def read_writings(server: MongoServer, database: str) -> Writings:
    """Every append in a database."""
    found: dict[str, list[Writing]] = {}
    wanted = {"run_id": 1, "first": 1, "writer": 1, "types": 1}
    async with direct_client(server.address, _READ_S) as client:
        cursor = client[database].run_events.find({}, wanted)
        async for one in cursor.sort([("run_id", 1), ("first", 1)]):
            found.setdefault(one["run_id"], []).append(_writing(one))

    return found


def check_writers(writings: Writings) -> Iterator[Violation]:
    """Every append that was not its owner's to write."""
    for run_id, appends in writings.items():
        for append, problem in _strangers(appends):
            sentence = f"at {append.first}: {problem}"
            yield Violation("stale", run_id, sentence)


def _strangers(appends: Sequence[Writing]) -> Iterator[tuple[Writing, str]]:
    owner = ""
    for append in appends:
        if "run_claimed" in append.types:
            owner = append.owner
        elif owner and append.owner != owner:
            yield append, f"{append.owner} wrote after {owner} had claimed"


def _writing(found: Mapping[str, Any]) -> Writing:
    owner = found["writer"].rpartition("/")[0]
    return Writing(owner, found["first"], tuple(found["types"]))
