"""One SQLite connection: its settings, its transactions, its errors in our words."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal

from contracts import (
    ConfigurationError,
    PermanentError,
    SluicegateError,
    StoreUnavailable,
)

MEMORY = ":memory:"
"""The path of a database that no file holds."""

Synchronous = Literal["FULL", "NORMAL"]
"""FULL survives a loss of power; NORMAL may lose the last commits to it."""

CHECK_S = 1.0
"""How long a start may look for damage; what it does not reach goes unseen."""

_MENDED = (3, 51, 3)
"""From here on several connections may write and checkpoint at once."""

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)


def connect(path: str, synchronous: Synchronous) -> Connection:
    """Open the file (made with mode 0600, its folder with 0700) and look it over.

    Raises ConfigurationError for a file that cannot be opened, is damaged or is no
    database, and StoreUnavailable for one that another program has locked.
    """
    if path != MEMORY:
        _make_private(Path(path))

    connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    try:
        _set_up(connection, synchronous)
        _look_over(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unopened(path, error) from error
    except BaseException:
        connection.close()
        raise

    return connection


def in_our_words(error: BaseException) -> BaseException:
    """An error that may leave the store: no driver's error, and no StopIteration."""
    if isinstance(error, StopIteration):
        told: Exception = PermanentError("A unit of work raised StopIteration.")
    elif isinstance(error, sqlite3.Error):
        told = _translated(error)
    else:
        return error

    told.__cause__ = error
    return told


class Work:
    """One unit of work and, once it ran, its result or the error it raised."""

    __slots__ = ("error", "result", "unit", "writes")

    def __init__(self, unit: Callable[[Connection], Any], writes: bool) -> None:
        self.unit = unit
        self.writes = writes
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> bool:
        """Whether the unit returned; whatever it raised is kept."""
        self.error = None
        try:
            self.result = self.unit(connection)
        except BaseException as error:  # noqa: BLE001  whoever waits is told
            self.error = error

        return self.error is None


def commit(connection: Connection) -> None:
    """End a transaction for good."""
    connection.execute("COMMIT")


def run_batch(
    connection: Connection,
    batch: Sequence[Work],
    commit: Callable[[Connection], None] = commit,
) -> None:
    """Run units in their order, in one transaction if any of them writes.

    A read sees the writes before it in the batch. A unit that raises takes nothing
    else with it: the batch is rolled back and runs again, each write in a savepoint.
    Where SQLite gives the transaction up, as it does for want of space, the units run
    again in a transaction each. What a locked database refuses is not tried again.
    """
    writes = [work for work in batch if work.writes]
    try:
        _begin(connection, writes)
        if not all(work.run(connection) for work in batch):
            _begin(connection, writes)
            _run_apart(connection, batch)

        if writes:
            commit(connection)
    except sqlite3.Error as error:
        _roll_back(connection)
        if len(writes) == 1 or _primary(error) in _BUSY:
            _refuse(writes, error)
            _run_apart(connection, [work for work in batch if not work.writes])
        else:
            for work in batch:
                run_batch(connection, [work], commit)


def _begin(connection: Connection, writes: Sequence[Work]) -> None:
    _roll_back(connection)
    if writes:
        connection.execute("BEGIN IMMEDIATE")


def _roll_back(connection: Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _run_apart(connection: Connection, batch: Sequence[Work]) -> None:
    for work in batch:
        if work.writes:
            _run_in_savepoint(connection, work)
        else:
            work.run(connection)


def _run_in_savepoint(connection: Connection, work: Work) -> None:
    connection.execute("SAVEPOINT unit")
    if not work.run(connection):
        if isinstance(work.error, sqlite3.Error) and not connection.in_transaction:
            raise work.error

        connection.execute("ROLLBACK TO unit")

    connection.execute("RELEASE unit")


def _refuse(writes: Sequence[Work], error: BaseException) -> None:
    for work in writes:
        work.error = error


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unopened(str(path), error) from error


def _set_up(connection: Connection, synchronous: Synchronous) -> None:
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA temp_store = MEMORY")


def _look_over(connection: Connection, path: str) -> None:
    timer = threading.Timer(CHECK_S, connection.interrupt)
    timer.start()
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise

        verdict = "ok"  # as far as the time allowed
    finally:
        timer.cancel()
        timer.join()

    if verdict != "ok":
        message = f"The store file {path} is damaged: {verdict}."
        raise ConfigurationError(message, code="store_unusable")


def _unopened(path: str, error: Exception) -> SluicegateError:
    if isinstance(error, sqlite3.Error) and _primary(error) in _BUSY:
        return _translated(error)

    reason = error.strerror if isinstance(error, OSError) else error
    message = f"The store file {path} cannot be opened: {reason}."
    return ConfigurationError(message, code="store_unusable")


def _translated(error: sqlite3.Error) -> SluicegateError:
    primary = _primary(error)
    if primary in _BUSY:
        return StoreUnavailable(code="store_busy")

    if primary in _UNAVAILABLE:
        return StoreUnavailable(f"The store does not answer: {error}.")

    return PermanentError(code="internal")


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; that of a plain error if Python raised it."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def engine_version() -> tuple[str, bool]:
    """The version of SQLite, and whether the WAL-reset bug is mended in it."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= _MENDED
