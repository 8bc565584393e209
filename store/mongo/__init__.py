"""The store in MongoDB: many processes, one replica set."""

from __future__ import annotations

from store.mongo.store import MongoStore

__all__ = ["MongoStore"]
