"""A subscription: one reader of a group, and the slots that work what it reads."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

import anyio

from bus.protocol import Handler
from bus.redis_streams.acks import Acks
from bus.redis_streams.desk import Desk, Taken
from bus.redis_streams.keys import Seat
from bus.redis_streams.letters import FIELD
from bus.redis_streams.link import Link
from bus.redis_streams.office import Office
from bus.redis_streams.refusals import GroupMissing, GroupThere
from contracts import BusUnavailable

_MOST_LATER = 1_000
"""A subscription reads no further while so many messages wait for another try."""

_FIRST_PAUSE_S = 0.05
_MOST_HANDED_BACK = 10_000
_START = b"0-0"


class Feed:
    """Subscription of one handler on Redis; see the protocol.

    It reads only what a slot is free for, on a connection of its own, which is
    taken for dead when a read outlives its time.
    """

    def __init__(
        self, office: Office, seat: Seat, handler: Handler, *, slots: int
    ) -> None:
        tuning = office.tuning
        name = f"{seat.group} takes {seat.kind}"
        self._office = office
        self._seat = seat
        self._slots = slots
        self._link = Link(
            office.address,
            seat.consumer,
            deadline_s=tuning.block_s + tuning.margin_s,
        )
        self._acks = Acks(office, seat)
        self._desk = Desk(office, seat, handler, self._acks, self._try_later)
        self._ready: deque[Taken] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._later: set[asyncio.Task[None]] = set()
        self._running = 0
        self._space = asyncio.Event()
        self._grouped = asyncio.Event()
        self._closing = False
        self._made = False
        self._read_all = False
        self._lock = asyncio.Lock()
        self._cursor = _START
        self._claim_at = 0.0
        self._block = _milliseconds(tuning.block_s)
        self._pause_s = _FIRST_PAUSE_S
        self._loop = asyncio.get_running_loop()
        self._reader = self._loop.create_task(self._feed(), name=f"{name}: reads")
        self._keeper = self._loop.create_task(self._keep(), name=f"{name}: keeps")
        self._workers = [
            self._loop.create_task(self._work(), name=f"{name} {n}")
            for n in range(slots)
        ]

    async def close(self) -> None:
        """See Subscription; what is left goes back to the others of the group."""
        async with self._lock:
            if not self._read_all:
                self._closing = True
                await self._stop_reading()
                await self._finish()
                with suppress(BusUnavailable):
                    await self._hand_back()

    async def _stop_reading(self) -> None:
        tuning = self._office.tuning
        self._space.set()
        with anyio.move_on_after(tuning.deadline_s):
            await self._grouped.wait()

        await asyncio.wait([self._reader], timeout=tuning.grace_s)
        await self._link.close()
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _finish(self) -> None:
        self._read_all = True
        self._wake(len(self._idle))
        await asyncio.wait(self._workers)
        for task in (self._keeper, *self._later):
            task.cancel()

        await asyncio.gather(self._keeper, *self._later, return_exceptions=True)
        await self._acks.flush()

    async def _hand_back(self) -> None:
        """Let others claim at once what is left here.

        The consumer stays until the janitor comes: Redis may have handed it one more
        message without our knowing, and forgets with a consumer what it holds.
        """
        seat = self._seat
        self._office.link.tell(b"DEL", self._office.keys.alive(seat.consumer))
        left = await self._owned(0)
        if left:
            idle = _milliseconds(self._office.tuning.min_idle_s)
            to = (seat.stream, seat.group, seat.consumer)
            call = self._office.link.call
            await call(b"XCLAIM", *to, 0, *left, b"IDLE", idle, b"JUSTID")

    # reading

    async def _feed(self) -> None:
        """Read until the end, from the beginning after each break."""
        while not (self._closing and self._grouped.is_set()):
            try:
                await self._join()
                while not self._closing:
                    await self._turn()
            except GroupMissing:
                self._miss_group()
                await self._pause()
            except BusUnavailable:
                self._grouped.set()
                await self._pause()
            except Exception as error:  # noqa: BLE001  a reader outlives its errors
                self._office.log.alarm("reader", error=str(error), **self._named())
                await self._pause()

    async def _join(self) -> None:
        """Make the group where it is missing, and take what was already ours."""
        seat = self._seat
        making = (b"XGROUP", b"CREATE", seat.stream, seat.group, b"0", b"MKSTREAM")
        try:
            await self._link.call(*making)
            self._made = True
        except GroupThere:
            self._made = True
        except BusUnavailable as error:
            # with its memory full Redis makes no group, and still serves one
            if error.code != "bus_backlog":
                raise

        self._grouped.set()
        await self._take_own()
        await self._desk.unpark()

    async def _take_own(self) -> None:
        last = b"0"
        while not self._closing:
            room = await self._room()
            with self._acks.reading():
                entries = await self._read(room, last)
                self._take_again(entries)

            if not entries:
                return

            last = entries[-1][0]

    async def _turn(self) -> None:
        """Read once, and claim what others lost when it is time to."""
        room = await self._room()
        if self._closing:
            return

        patience: tuple[bytes | int, ...] = (b"BLOCK", self._block)
        if self._loop.time() >= self._claim_at:
            await self._claim(room)
            room = await self._room()
            patience = ()

        for entry, fields in await self._read(room, b">", *patience):
            self._take(Taken(entry, _frame(fields), 1))

        self._pause_s = _FIRST_PAUSE_S

    async def _read(self, count: int, after: bytes, *more: bytes | int) -> list[Any]:
        seat = self._seat
        reply = await self._link.call(
            *(b"XREADGROUP", b"GROUP", seat.group, seat.consumer),
            *(b"COUNT", max(count, 1), *more, b"STREAMS", seat.stream, after),
        )
        return reply[0][1] if reply else []

    async def _claim(self, room: int) -> None:
        """Take over a page of what nobody speaks for any more."""
        seat, tuning = self._seat, self._office.tuning
        with self._acks.reading():
            reply = await self._link.call(
                *(b"XAUTOCLAIM", seat.stream, seat.group, seat.consumer),
                *(_milliseconds(tuning.min_idle_s), self._cursor),
                *(b"COUNT", max(room, 1)),
            )
            self._take_again([entry for entry in reply[1] if entry and entry[0]])

        self._cursor = reply[0]
        if self._cursor == _START:
            self._claim_at = self._loop.time() + tuning.claim_s

        if len(reply) > 2:
            self._gone(reply[2])
        elif not all(entry and entry[0] for entry in reply[1]):
            # before 7.0 a deleted entry has no id here, and is ours from now on
            await self._take_own()

    def _take_again(self, entries: list[Any]) -> None:
        gone = [entry for entry, fields in entries if not fields]
        if gone:
            seat = self._seat
            self._office.link.tell(b"XACK", seat.stream, seat.group, *gone)
            self._gone(gone)

        for entry, fields in entries:
            if fields and not self._acks.knows(entry):
                self._take(Taken(entry, _frame(fields), 0))

    def _take(self, taken: Taken) -> None:
        self._acks.held.add(taken.entry)
        self._ready.append(taken)
        self._wake(1)

    def _gone(self, entries: list[bytes]) -> None:
        if entries:
            ids = [entry.decode() for entry in entries[:10]]
            self._office.log.alarm(
                "lost_message", **self._named(), count=len(entries), entries=ids
            )
            self._office.ring()

    async def _room(self) -> int:
        """How many slots are free, once one is; anything when closing."""
        while not self._closing:
            free = self._slots - self._running - len(self._ready)
            if free > 0 and len(self._later) < _MOST_LATER:
                return free

            self._space.clear()
            await self._space.wait()

        return 1

    def _miss_group(self) -> None:
        """A group that was there took its messages with it."""
        if self._made:
            self._made = False
            self._office.log.alarm("group_missing", **self._named())
            self._office.ring()

    async def _pause(self) -> None:
        """Wait before the next attempt, longer each time, not beyond the limit."""
        pause_s = min(self._pause_s, self._office.tuning.reconnect_s)
        self._pause_s = pause_s * 2
        await anyio.sleep(pause_s)

    # working

    async def _work(self) -> None:
        while True:
            if self._ready:
                self._running += 1
                await self._handle(self._ready.popleft())
                self._running -= 1
                self._space.set()
            elif self._read_all:
                return
            else:
                slot: asyncio.Future[None] = self._loop.create_future()
                self._idle.append(slot)
                await slot

    async def _handle(self, taken: Taken) -> None:
        try:
            await self._desk.handle(taken)
        except Exception as error:  # noqa: BLE001  a slot outlives its errors
            self._acks.held.discard(taken.entry)
            self._office.log.alarm("slot", error=repr(error), **self._named())

    def _wake(self, count: int) -> None:
        for _ in range(min(count, len(self._idle))):
            self._idle.popleft().set_result(None)

    def _try_later(self, taken: Taken, delay_s: float) -> None:
        task = self._loop.create_task(
            self._sleep_on(taken, delay_s),
            name=f"{self._seat.kind} {taken.entry.decode()} waits for another try",
        )
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _sleep_on(self, taken: Taken, delay_s: float) -> None:
        await self._office.clock.sleep(delay_s)
        self._ready.append(taken)
        self._wake(1)
        self._space.set()

    # keeping

    async def _keep(self) -> None:
        """Tell Redis that we live, and of what we hold, so that nobody claims it."""
        alive = self._office.keys.alive(self._seat.consumer)
        lives_ms = _milliseconds(self._office.tuning.min_idle_s)
        while True:
            self._office.link.tell(b"SET", alive, 1, b"PX", lives_ms)
            await anyio.sleep(self._office.tuning.claim_s)
            if self._acks.held:
                with suppress(BusUnavailable):
                    await self._say_what_is_held()

    async def _say_what_is_held(self) -> None:
        """Only what is still ours by Redis: a claim would take it back from others."""
        seat, claim_s = self._seat, self._office.tuning.claim_s
        owned = await self._owned(_milliseconds(claim_s / 2))
        held = [entry for entry in owned if entry in self._acks.held]
        if held:
            to = (seat.stream, seat.group, seat.consumer)
            await self._office.link.call(b"XCLAIM", *to, 0, *held, b"JUSTID")

    async def _owned(self, idle: int) -> list[bytes]:
        """Entries that Redis has as ours, silent for so many milliseconds."""
        seat = self._seat
        rows = await self._office.link.call(
            *(b"XPENDING", seat.stream, seat.group, b"IDLE", idle),
            *(b"-", b"+", _MOST_HANDED_BACK, seat.consumer),
        )
        return [row[0] for row in rows]

    def _named(self) -> dict[str, str]:
        return {"kind": self._seat.kind, "group": self._seat.group}


def _frame(fields: list[bytes]) -> bytes:
    """What an entry carries; one that is not ours is kept whole, and is unsigned."""
    name, *values = fields
    return values[0] if name == FIELD and len(values) == 1 else b" ".join(fields)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1_000))
