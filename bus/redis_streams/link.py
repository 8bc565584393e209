"""One connection to Redis: what is asked in one tick travels together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from bus.log_lines import LogLines
from bus.redis_streams.address import Address
from bus.redis_streams.refusals import refusal, unanswered
from contracts import BusUnavailable

Part = bytes | str | int
Command = tuple[Part, ...]
Reply = asyncio.Future[Any]


class Ear(Protocol):
    """Whoever hears channels over a link.

    Guarantees: it is called from the link's own tasks and never waits.
    """

    def opening(self) -> Iterable[Command]:
        """What is said first on each connection."""

    def hear(self, channel: bytes, frame: bytes) -> None:
        """Take what was published."""

    def broke(self) -> None:
        """From now on something may be missed, until the next opening."""


class Link:
    """A connection that opens when it is first needed, and again after each break.

    Guarantees: commands run in the order of the calls, each is sent at most once,
    and a reply reaches whoever asked even if others were cancelled in between. A
    call that is not answered within ``deadline_s`` breaks the connection and fails,
    with everything else that was sent; what was not sent yet goes with the next one.
    Every failure is a BusUnavailable, an Unanswered if the command may have run.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        *,
        deadline_s: float,
        ear: Ear | None = None,
    ) -> None:
        """``ear`` hears what is published to the channels that it asks for."""
        self._address = address
        self._name = name
        self._deadline_s = deadline_s
        self._ear = ear
        self._asked: list[tuple[Command, Reply]] = []
        self._unanswered: deque[Reply] = deque()
        self._wanted = asyncio.Event()
        self._moved_at = 0.0
        self._late = False
        self._closed = False
        self.connections = 0
        self._log = LogLines()
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name=f"{name}: asks Redis")

    @property
    def load(self) -> int:
        """How many calls wait for an answer."""
        return len(self._asked) + len(self._unanswered)

    def call(self, *command: Part) -> Reply:
        """Send a command at the end of this tick; the reply comes when it comes."""
        reply: Reply = self._loop.create_future()
        if self._closed:
            reply.set_exception(BusUnavailable("The bus is closed.", code="draining"))
        else:
            self._asked.append((command, reply))
            self._wanted.set()

        return reply

    def tell(self, *command: Part) -> None:
        """Send a command whose failure hurts nobody."""
        self.call(*command).add_done_callback(self._unheard)

    async def atomically(self, *commands: Command) -> list[Any]:
        """The replies of commands that all run, or none of them.

        Raises the BusUnavailable of the first that was refused.
        """
        whole = ((b"MULTI",), *commands, (b"EXEC",))
        calls = [self.call(*command) for command in whole]
        replies: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply

        return list(replies[-1])

    async def close(self) -> None:
        """Break the connection; whoever still waits hears ``draining``."""
        self._closed = True
        self._task.cancel()
        await asyncio.wait([self._task])
        over = BusUnavailable("The bus is closed.", code="draining")
        self._refuse_sent(over)
        self._refuse_unsent(over)

    async def _run(self) -> None:
        while True:
            if not self._asked:
                self._wanted.clear()
                await self._wanted.wait()

            try:
                await self._connect_and_serve(self._address.connection(self._name))
            except Exception as error:  # noqa: BLE001  whatever the driver raises
                self._refuse_sent(error)
                if self._ear is not None:
                    self._ear.broke()

    async def _connect_and_serve(self, connection: AbstractConnection) -> None:
        try:
            await self._use(connection)
        finally:
            await connection.disconnect(nowait=True)

    async def _use(self, connection: AbstractConnection) -> None:
        """Serve until the connection breaks. Raises what broke it."""
        try:
            with anyio.fail_after(self._deadline_s):
                await connection.connect()  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  whatever the driver raises
            self._refuse_unsent(error)
            return

        self.connections += 1
        if self._ear is not None:
            self._asked[:0] = [self._first(each) for each in self._ear.opening()]

        await self._serve(connection)

    async def _serve(self, connection: AbstractConnection) -> None:
        """Send and read until it breaks. Raises what broke it."""
        self._late = False
        reading = asyncio.create_task(
            self._read(connection), name=f"{self._name}: hears Redis"
        )
        reading.add_done_callback(lambda _: self._wanted.set())
        self._watch_soon(reading)
        try:
            while not reading.done():
                self._wanted.clear()
                if self._asked:
                    await self._send(connection)

                await self._wanted.wait()
        finally:
            reading.cancel()
            await asyncio.wait([reading])

        if self._late or reading.cancelled():
            raise TimeoutError

        reading.result()

    async def _send(self, connection: AbstractConnection) -> None:
        asked, self._asked = self._asked, []
        if not self._unanswered:
            self._moved_at = self._loop.time()

        self._unanswered.extend(reply for _, reply in asked)
        packed = b"".join([_packed(command) for command, _ in asked])
        with anyio.fail_after(self._deadline_s):
            await connection.send_packed_command(packed, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        """Hand each reply to whoever asked. Raises what ends the connection."""
        while True:
            try:
                reply = await connection.read_response()
            except ResponseError as error:
                reply = error

            self._moved_at = self._loop.time()
            if self._ear is not None and _is_published(reply):
                self._ear.hear(reply[1], reply[2])
            else:
                _settle(self._unanswered.popleft(), reply)

    def _watch_soon(self, reading: asyncio.Task[None]) -> None:
        due = self._loop.time() + self._deadline_s / 4
        self._loop.call_at(due, self._watch, reading, due)

    def _watch(self, reading: asyncio.Task[None], due: float) -> None:
        """Break the connection if the oldest call is overdue, and look again soon.

        A loop that was blocked itself may not have read what has arrived long ago.
        """
        now = self._loop.time()
        blocked = now - due > self._deadline_s / 4
        overdue = now - self._moved_at > self._deadline_s
        if self._unanswered and overdue and not blocked:
            self._late = True
            reading.cancel()
        elif not reading.done():
            self._watch_soon(reading)

    def _first(self, command: Command) -> tuple[Command, Reply]:
        reply: Reply = self._loop.create_future()
        reply.add_done_callback(self._unheard)
        return command, reply

    def _unheard(self, reply: Reply) -> None:
        error = None if reply.cancelled() else reply.exception()
        if isinstance(error, Exception):
            self._log.dropped(self._name, error)

    def _refuse_unsent(self, error: Exception) -> None:
        asked, self._asked = self._asked, []
        for _, reply in asked:
            _settle(reply, error)

    def _refuse_sent(self, error: Exception) -> None:
        sent, self._unanswered = self._unanswered, deque()
        for reply in sent:
            _settle(reply, unanswered(error))


def _packed(command: Command) -> bytes:
    """A command on the wire: the driver takes three times as long for this."""
    parts = [part if type(part) is bytes else str(part).encode() for part in command]
    sized = [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"*%d\r\n%b" % (len(parts), b"".join(sized))


def _settle(waiting: Reply, reply: object) -> None:
    if waiting.done():
        return

    if isinstance(reply, Exception):
        waiting.set_exception(refusal(reply))
    else:
        waiting.set_result(reply)


def _is_published(reply: object) -> bool:
    return isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message"
