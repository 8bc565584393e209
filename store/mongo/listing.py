"""Lists in the order of a time and an id, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from store.cursors import Span, sort_key
from store.mongo.database import Database, Document, Listing
from store.protocol import Cursor


class Source(NamedTuple):
    """Where the documents of a list stand; ``at`` and ``id`` are its sort key."""

    collection: str
    at: str
    id: str
    fields: Sequence[str]


class Part(NamedTuple):
    """Documents, and where the next part begins."""

    documents: list[Document]
    next: Cursor | None


async def part_of(
    database: Database, source: Source, where: Mapping[str, Any], span: Span
) -> Part:
    """The documents for which all conditions hold; one of None is left out."""
    wanted = {field: value for field, value in where.items() if value is not None}
    direction = -1 if span.order == "desc" else 1
    listing = Listing(
        _after(source, wanted, span),
        ((source.at, direction), (source.id, direction)),
        span.limit + 1,
        (*source.fields, source.at, source.id),
    )
    found = await database.many(source.collection, listing)
    if len(found) <= span.limit:
        return Part(found, None)

    last = found[span.limit - 1]
    return Part(found[: span.limit], value(last, source.at) + value(last, source.id))


def value(document: Document, path: str) -> Any:
    """What stands in a document at a path with dots."""
    for name in path.split("."):
        document = document[name]

    return document


def _after(source: Source, where: Document, span: Span) -> Document:
    """The conditions, and that a document follows the cursor."""
    if span.after is None:
        return where

    at, id_ = sort_key(span.after)
    sign = "$lt" if span.order == "desc" else "$gt"
    follows = [
        {source.at: at, source.id: {sign: id_}},
        {source.at: {sign: at}},
    ]
    bound = {source.at: {f"{sign}e": at}}
    return {"$and": [where, bound, {"$or": follows}]}
