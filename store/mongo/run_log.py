"""A run's log: one document an append, which makes the append one write.

An append begins right after the last one, so that its ``_id`` (run and first
position) has one winner. What it changes in the run's document stands in it and is
applied afterwards, any number of times; who finds the last append of a log applies
it first, so that an append with others after it is applied for certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pymongo.asynchronous.cursor import AsyncCursor

from contracts import ENDED, TERMINAL, RunEvent
from store.appends import status_after, types_of
from store.mongo.database import Database, Document, key
from store.protocol import Append, EventFilter

_DIGITS = 12
_BATCH = 100
_NOTHING = 0

LARGEST_CHARS = 3_000_000
"""A longer append is split: a document of the server holds 16 MB, of UTF-8."""

RunId = tuple[str, str]
"""Tenant and id of a run."""


class End(NamedTuple):
    """Where a log ends, or ended when its last append was read."""

    last: int
    writer: str = ""
    ended: bool = False


BEGINNING = End(0)
"""The end of an empty log."""


class EventSpan(NamedTuple):
    """Which part of a log is wanted."""

    after: int
    limit: int
    where: EventFilter
    order: Literal["asc", "desc"]


def place(run: RunId, first: int) -> str:
    """The ``_id`` of the append that begins at this position."""
    return key(*run, f"{first:0{_DIGITS}d}")


def entries_of(run: RunId, append: Append) -> list[Document]:
    """An append, which has events, as it is written: in one part, or a few if long.

    What it changes beside the log goes with the last.
    """
    texts = [event.model_dump_json() for event in append.events]
    entries = [_entry(run, append, texts, part) for part in _cut(texts)]
    entries[-1] |= changes_of(append)
    return entries


def _entry(run: RunId, append: Append, texts: list[str], part: slice) -> Document:
    events = append.events[part]
    return {
        "_id": place(run, events[0].seq),
        "tenant": run[0],
        "run_id": run[1],
        "first": events[0].seq,
        "last": events[-1].seq,
        "writer": append.writer,
        "ended": events[-1].type in TERMINAL,
        "ids": [event.id for event in events],
        "types": [event.type for event in events],
        "nodes": [event.node_id for event in events],
        "events": texts[part],
    }


def changes_of(append: Append) -> Document:
    """What an append changes beside the log; empty if nothing."""
    status, handled = status_after(append), list(append.handled)
    changes: Document = {} if status is None else {"status": status}
    if append.state is not None:
        changes |= {"state": append.state.model_dump_json(), "wake_at": append.wake_at}
    elif append.wake_at is not None:
        changes["wake_at"] = append.wake_at

    if append.release or status in ENDED:
        changes |= {"lease_owner": None, "lease_until": None}

    told: Document = {"changes": changes} if changes else {}
    return {**told, "handled": handled} if handled else told


def changes_something(entry: Document) -> bool:
    """Whether an append changes anything beside the log."""
    return "changes" in entry or "handled" in entry


def end_of(entry: Document) -> End:
    """Where a log ends whose last append this is."""
    return End(entry["last"], entry["writer"], entry["ended"])


def _cut(texts: Sequence[str]) -> list[slice]:
    """Texts in parts that are small enough."""
    if sum(map(len, texts)) <= LARGEST_CHARS:
        return [slice(0, len(texts))]

    parts, begin, chars = list[slice](), 0, 0
    for place_, text in enumerate(texts):
        if place_ > begin and chars + len(text) > LARGEST_CHARS:
            parts.append(slice(begin, place_))
            begin, chars = place_, 0

        chars += len(text)

    return [*parts, slice(begin, len(texts))]


async def last_entry(database: Database, run: RunId) -> Document | None:
    """The last append of a log, without its events."""
    log = {"$gte": place(run, 0), "$lt": place(run, 10**_DIGITS - 1)}
    hidden = {"events": 0, "ids": 0, "types": 0, "nodes": 0}
    entries = database.collection("run_events")
    return await database.read(
        entries.find_one({"_id": log}, hidden, sort=[("_id", -1)])
    )


async def come_back(
    database: Database, run: RunId, append: Append
) -> tuple[int, Document | None]:
    """How many of the events stand there as ours, and the append with the last one.

    0 if others stand there, or none.
    """
    events = append.events
    where = _reaching(run, events[0].seq, events[-1].seq)
    fields = dict.fromkeys(("types", "nodes", "events"), 0)
    cursor = database.collection("run_events").find(where, fields, sort=[("last", 1)])
    entries = await database.read(cursor.to_list())

    standing = [
        (seq, id_, entry["writer"])
        for entry in entries
        for seq, id_ in enumerate(entry["ids"], entry["first"])
        if events[0].seq <= seq <= events[-1].seq
    ]
    ours = [(e.seq, e.id, append.writer) for e in events[: len(standing)]]
    return (len(standing), entries[-1]) if standing and standing == ours else (0, None)


async def select(
    database: Database, run: RunId, span: EventSpan
) -> tuple[RunEvent, ...]:
    """A part of a run's log."""
    if span.limit <= _NOTHING:
        return ()

    types = types_of(span.where)
    where = _part(run, span)
    if types is not None:
        where["types"] = {"$in": types}

    if span.where.node_id is not None:
        where["nodes"] = span.where.node_id

    cursor = _cursor(database, where, span, exact=types is None)
    found = await database.read(_first(cursor, span, types))
    return tuple(map(RunEvent.model_validate_json, found))


async def _first(
    cursor: AsyncCursor[Document], span: EventSpan, types: list[str] | None
) -> list[str]:
    """As many of the events as are wanted."""
    found: list[str] = []
    async with cursor:
        async for entry in cursor:
            found += _shown(entry, span, types)
            if len(found) >= span.limit:
                break

    return found[: span.limit]


def _cursor(
    database: Database, where: Document, span: EventSpan, *, exact: bool
) -> AsyncCursor[Document]:
    """The appends of a part, in order; each has an event of it but perhaps one."""
    several = span.where.node_id is not None and not exact
    by = ("last", 1) if span.order == "asc" else ("_id", -1)
    return database.collection("run_events").find(
        where,
        ("first", "types", "nodes", "events"),
        sort=[by],
        limit=0 if several else span.limit + 1,
        batch_size=min(span.limit + 1, _BATCH),
    )


def _part(run: RunId, span: EventSpan) -> Document:
    if span.order == "asc":
        return {"tenant": run[0], "run_id": run[1], "last": {"$gt": span.after}}

    before = span.after or 10**_DIGITS - 1
    return {"_id": {"$gte": place(run, 0), "$lt": place(run, before)}}


def _reaching(run: RunId, first: int, last: int) -> Document:
    """The appends that have a position of these."""
    return {
        "tenant": run[0],
        "run_id": run[1],
        "last": {"$gte": first},
        "first": {"$lte": last},
    }


def _shown(entry: Document, span: EventSpan, types: Sequence[str] | None) -> list[str]:
    """The texts of an append's events that belong to a part, in its order."""
    node, after = span.where.node_id, span.after
    columns = zip(entry["types"], entry["nodes"], entry["events"], strict=True)
    shown = [
        text
        for seq, (type_, node_id, text) in enumerate(columns, entry["first"])
        if (types is None or type_ in types)
        and node in (None, node_id)
        and (seq > after if span.order == "asc" else not after or seq < after)
    ]
    return shown if span.order == "asc" else shown[::-1]
