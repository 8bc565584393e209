"""Documents of conversations: what never changes as one text, the rest as fields.

``due`` says when a conversation wants a worker: at once, when its lease or its wait
is over, or (absent) never. ``applied`` is the last event whose append has changed the
document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import ConversationRow
from store.mongo.database import Document, key
from store.mongo.listing import Source
from store.mongo.run_rows import AT_ONCE, GONE, said_in_pipeline
from store.texts import json_of, with_fields

FIELDS = (
    "body",
    "flow",
    "spoke_at",
    "state",
    "recollection",
    "lease_owner",
    "lease_until",
    "wake_at",
    "applied",
)
"""What ``conversation_of`` reads, and where its document stands."""

ALL = Source("conversations", "created_at", "id", FIELDS)
"""Every conversation of a tenant."""

_CHANGING = {"flow", "spoke_at", "state", "recollection", "lease", "wake_at"}
_WANTED = {"$or": ["$unheard", {"$gt": ["$wake_at", None]}]}
_DUE = {
    "$switch": {
        "branches": [
            {
                "case": {"$and": [{"$gt": ["$lease_until", None]}, _WANTED]},
                "then": "$lease_until",
            },
            {"case": "$unheard", "then": AT_ONCE},
        ],
        "default": {"$ifNull": ["$wake_at", GONE]},
    }
}


def new_row(row: ConversationRow) -> Document:
    """A conversation as it is inserted."""
    channel = row.channel
    optional = {"address": channel.address or None, "flow": row.flow}
    return {
        "_id": key(row.tenant, row.id),
        "tenant": row.tenant,
        "id": row.id,
        "subject": row.subject,
        "kind": channel.kind,
        "created_at": row.created_at,
        "unheard": False,
        "arrivals": 0,
        "applied": 0,
        "state": row.state.model_dump_json(),
        "recollection": row.recollection.model_dump_json(),
        "body": row.model_dump_json(exclude=_CHANGING),
        **{name: value for name, value in optional.items() if value is not None},
    }


def changing(fields: Mapping[str, Any]) -> list[Document]:
    """The stages of an update that sets fields; None removes one."""
    said = {name: said_in_pipeline(value) for name, value in fields.items()}
    return [{"$set": said}, {"$set": {"due": _DUE}}]


def conversation_of(document: Document) -> ConversationRow:
    """The conversation of this document."""
    until = document.get("lease_until")
    lease = until and {"owner": document["lease_owner"], "until": until}
    text = with_fields(
        document["body"],
        flow=json_of(document.get("flow")),
        spoke_at=json_of(document.get("spoke_at")),
        state=document["state"],
        recollection=document["recollection"],
        lease=json_of(lease),
        wake_at=json_of(document.get("wake_at")),
    )
    return ConversationRow.model_validate_json(text)
