"""The store in one SQLite file: the embedded default."""

from __future__ import annotations

from store.sqlite.connection import MEMORY, Synchronous, engine_version
from store.sqlite.store import SqliteStore

__all__ = ["MEMORY", "SqliteStore", "Synchronous", "engine_version"]
