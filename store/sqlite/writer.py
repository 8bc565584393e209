"""The embedded database: one connection in one thread, commits shared by all tasks."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from sqlite3 import Connection
from typing import Any, NamedTuple, TypeVar

import anyio

from contracts import StoreUnavailable
from store.sqlite.connection import (
    MEMORY,
    Synchronous,
    Work,
    commit,
    connect,
    in_our_words,
    run_batch,
)
from store.sqlite.lockfile import locked
from store.sqlite.migrations import Step, migrate
from store.sqlite.reserve import RESERVE_BYTES, give_up, lay_by

T = TypeVar("T")

MOST_AT_ONCE = 512
"""Units that one commit may hold."""

MOST_WAITING = 10_000
"""Units that may wait; one more is refused with ``store_busy``."""

OPEN_S = 120.0
CLOSE_S = 30.0

_TICK_S = 0.001
_MOST_TICKS = 20
_PATIENCE_S = 0.001
"""How long a unit may wait before the loop, busy perhaps, gives way to the thread."""

_NAP_S = 0.00002
_TURN_S = 0.002


class Settings(NamedTuple):
    """How a database is opened; ``path`` may be ``:memory:``."""

    path: str
    synchronous: Synchronous = "FULL"
    reserve_bytes: int = RESERVE_BYTES
    steps: Sequence[Step] = ()
    timeout_s: float = 10.0


class Database:
    """A SQLite database that one process owns, used from one event loop.

    A *unit of work* is a plain function of the connection. It runs in the database's
    thread, may run twice (so it changes nothing but rows), neither begins nor commits,
    returns values rather than cursors, and of the driver's errors catches only
    ``IntegrityError``. To return a refusal is cheaper than to raise it: a unit that
    raises makes its batch run again.

    Guarantees: units run one after another, in the order of the calls. Units that
    wait at the same time share one commit; each is whole or nothing, and one that
    raises spoils no other. A write that returned is committed, durable according to
    ``synchronous``, and seen by every later read; a read sees no write that fails.

    Every await ends within ``timeout_s`` (give or take 20 ms). A write that timed out
    or was cancelled has an unknown outcome: a unit that had begun runs to its end and
    is committed, one that had not is dropped.

    Raises, from any await, what the unit raised; StoreUnavailable if the database is
    closed, locked, too slow, or its disk is full; PermanentError (``internal``) for
    any other error of the driver, never the driver's own.
    """

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = settings.timeout_s
        self._settings = settings
        self.written = 0
        """How many units that may write were ever given."""

        self._waiting: deque[_Job] = deque()
        self._thread = _Thread(settings, self._tell)
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = anyio.Event()
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._idle_ticks = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: str | Path,
        *,
        synchronous: Synchronous = "FULL",
        reserve_bytes: int = RESERVE_BYTES,
        steps: Sequence[Step] = (),
        timeout_s: float = 10.0,
    ) -> AsyncIterator[Database]:
        """The database, migrated by ``steps``, until the block ends. See ``start``."""
        settings = Settings(str(path), synchronous, reserve_bytes, steps, timeout_s)
        database = cls(settings)
        try:
            await database.start()
            yield database
        finally:
            await database.close()

    async def start(self) -> None:
        """Lock, open, check and migrate the file, and lay by the reserve.

        Raises ConfigurationError if another process owns the file, its schema is
        newer than ``steps`` or it cannot be used; StoreUnavailable if it is locked or
        takes more than two minutes.
        """
        self._thread.start()
        with anyio.move_on_after(OPEN_S):
            await self._opened
            return

        raise StoreUnavailable("The store did not open in time.")

    async def close(self) -> None:
        """Finish what was begun or waits, then close the file. Twice is harmless."""
        if not self._closing:
            self._closing = True
            self._thread.stop()

        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._ended.wait()

    def write(self, unit: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run a unit that may write; its result, once that is committed."""
        self.written += 1
        return self._submit(unit, writes=True)

    def read(self, unit: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run a unit that only reads; its result."""
        return self._submit(unit, writes=False)

    async def release_reserve(self) -> int:
        """Delete the reserve file; how many bytes that freed.

        Meant for the full disk, before retention. The next start lays it by again.
        """
        path = self._settings.path
        if path == MEMORY:
            return 0

        return await self.read(lambda _: give_up(Path(path)))

    def _submit(
        self, unit: Callable[[Connection], T], writes: bool
    ) -> asyncio.Future[T]:
        if self._closing:
            raise StoreUnavailable("The store is closed.")

        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable(code="store_busy")

        job = _Job(unit, writes, self._loop.create_future(), self._loop.time())
        self._waiting.append(job)
        self._thread.queue.put(job)
        if self._timer is None:
            self._tick_in(_TICK_S)

        return job.future

    def _tell(self, fact: _Opened | _Ended | list[_Job]) -> None:
        """Called by the thread: hear of it on the loop."""
        self._loop.call_soon_threadsafe(self._on_fact, fact)

    def _on_fact(self, fact: _Opened | _Ended | list[_Job]) -> None:
        if isinstance(fact, list):
            self._on_done(fact)
        elif isinstance(fact, _Ended):
            self._on_ended(fact.error)
        elif not self._opened.done():
            self._opened.set_result(None)

    def _on_done(self, batch: list[_Job]) -> None:
        self._idle_ticks = 0
        for job in batch:
            job.settle()

        self._forget_settled()

    def _on_ended(self, error: BaseException | None) -> None:
        self._closing = True
        if error is not None and not self._opened.done():
            self._opened.set_exception(error)

        while self._waiting:
            refusal = StoreUnavailable("The store has closed.")
            refusal.__cause__ = error
            self._waiting.popleft().refuse(refusal)

        self._ended.set()

    def _forget_settled(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0].future.done():
            waiting.popleft()

    def _tick_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._on_tick)

    def _on_tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._refuse_overdue(now)
        if not self._waiting:
            return

        if now - self._waiting[0].since >= _PATIENCE_S:
            self._give_way()

        self._idle_ticks += 1
        self._tick_in(_TICK_S * max(1, min(self._idle_ticks - 2, _MOST_TICKS)))

    def _refuse_overdue(self, now: float) -> None:
        self._forget_settled()
        waiting = self._waiting
        while waiting and now - waiting[0].since >= self._timeout_s:
            waiting.popleft().refuse(StoreUnavailable("The store was too slow."))

    def _give_way(self) -> None:
        """Let the thread have the interpreter for a moment.

        SQLite releases the interpreter's lock at every step. A loop that is never
        idle takes it back before the thread wakes up, for seconds and minutes on end
        (measured by bench.sqlite_writer). So the loop sleeps: a nap for a thread that
        waits for the lock, then for as long as it runs units, but 2 ms at most.
        """
        time.sleep(_NAP_S)
        if self._thread.busy.acquire(timeout=_TURN_S):
            self._thread.busy.release()


class _Job(Work):
    """Work that somebody waits for since a moment of the loop's clock."""

    __slots__ = ("future", "since")

    def __init__(
        self,
        unit: Callable[[Connection], Any],
        writes: bool,
        future: asyncio.Future[Any],
        since: float,
    ) -> None:
        super().__init__(unit, writes)
        self.future = future
        self.since = since

    def settle(self) -> None:
        """Give whoever still waits the result or the error."""
        if self.error is not None:
            self.refuse(in_our_words(self.error))
        elif not self.future.done():
            self.future.set_result(self.result)

    def refuse(self, error: BaseException) -> None:
        """Give whoever still waits an error."""
        if not self.future.done():
            self.future.set_exception(error)


class _Opened:
    """The thread has opened the database."""


class _Ended(NamedTuple):
    """The thread has closed the database, of its own accord if there is an error."""

    error: BaseException | None = None


class _Thread:
    """The thread that has the connection; it takes whatever waits and commits once.

    ``busy`` is held while the thread wants the interpreter: not while it waits for
    work or for the disk.
    """

    def __init__(
        self, settings: Settings, tell: Callable[[_Opened | _Ended | list[_Job]], None]
    ) -> None:
        self.queue: SimpleQueue[_Job | None] = SimpleQueue()
        self.busy = threading.Lock()
        self._settings = settings
        self._tell = tell
        self._stopped = False
        self._started = False

    def start(self) -> None:
        """Begin to open the database."""
        self._started = True
        threading.Thread(target=self._main, name="store-sqlite", daemon=True).start()

    def stop(self) -> None:
        """Come to an end after all that waits."""
        self.queue.put(None)
        if not self._started:
            self._tell(_Ended())

    def _main(self) -> None:
        end = _Ended()
        try:
            with _opened(self._settings) as connection:
                self._tell(_Opened())
                self._serve(connection)
        except BaseException as error:  # noqa: BLE001  whoever waits is told
            end = _Ended(in_our_words(error))

        with suppress(RuntimeError):  # the loop has gone: nobody is left to tell
            self._tell(end)

    def _serve(self, connection: Connection) -> None:
        while not self._stopped:
            first = self.queue.get()
            with self.busy:
                batch = self._batch(first)
                self._run(connection, batch)
                self._tell(batch)

    def _batch(self, job: _Job | None) -> list[_Job]:
        """What waits and is still waited for."""
        batch: list[_Job] = []
        while job is not None:
            if not job.future.done():
                batch.append(job)

            if len(batch) == MOST_AT_ONCE or self.queue.empty():
                return batch

            job = self.queue.get_nowait()

        self._stopped = True
        return batch

    def _run(self, connection: Connection, batch: list[_Job]) -> None:
        try:
            run_batch(connection, batch, self._commit)
        except sqlite3.Error as error:
            for job in batch:
                job.error = error

    def _commit(self, connection: Connection) -> None:
        self.busy.release()
        try:
            commit(connection)
        finally:
            self.busy.acquire()


@contextmanager
def _opened(settings: Settings) -> Iterator[Connection]:
    if settings.path == MEMORY:
        with closing(_connected(settings)) as connection:
            yield connection

        return

    path = Path(settings.path)
    with locked(path), closing(_connected(settings)) as connection:
        lay_by(path, settings.reserve_bytes)
        yield connection
        with suppress(sqlite3.OperationalError):  # a full disk leaves it to the log
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _connected(settings: Settings) -> Connection:
    connection = connect(settings.path, settings.synchronous)
    try:
        migrate(connection, settings.steps)
    except BaseException:
        connection.close()
        raise

    return connection
