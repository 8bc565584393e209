"""What is said only once: replies to this process, and the topics somebody hears."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio

from bus.codec import TooNew, Unreadable, Unsigned
from bus.redis_streams.link import Command, Link
from bus.redis_streams.office import Office
from bus.topics import Listener, Topics
from bus.waiting import ReplyChannel
from contracts import BusUnavailable, Envelope


class Hotline:
    """One connection of this process that hears channels.

    After a break it hears replies again by itself. Who listened to topics is told that
    something may be missed: they look into the store and listen again.
    """

    def __init__(self, office: Office, process: str) -> None:
        self._office = office
        self._own = office.keys.reply(process)
        self._topics = Topics()
        self._wanted: Counter[bytes] = Counter()
        self._heard = asyncio.Event()
        self._broken = asyncio.Event()
        self._away: BusUnavailable | None = None
        """Why the last try to connect failed, if it did."""

        self.replies = ReplyChannel()
        self._link = Link(
            office.address,
            f"{process}:hotline",
            deadline_s=office.tuning.deadline_s,
            ear=self,
        )
        self._task = asyncio.create_task(self._keep(), name="hotline: stays connected")

    async def ready(self) -> None:
        """Return when replies can be heard. Raises BusUnavailable if that takes long.

        It waits before it gives up, so that whoever tries again does so slowly; less
        where the last try failed.
        """
        tuning = self._office.tuning
        patience_s = tuning.pulse_s / 2 if self._away else tuning.deadline_s
        if not self._heard.is_set():
            with anyio.move_on_after(patience_s):
                await self._heard.wait()

        if not self._heard.is_set():
            raise self._away or BusUnavailable(code="redis_unavailable")

    @asynccontextmanager
    async def listen(
        self, topic: str, buffer: int
    ) -> AsyncIterator[AsyncIterator[Envelope]]:
        """The broadcasts of a topic from here on. Raises BusUnavailable."""
        await self.ready()
        channel = self._office.keys.topic(topic)
        self._wanted[channel] += 1
        try:
            # what was broadcast here before the listening is said before it
            await self._office.link.call(b"PING")
            await self._link.call(b"SUBSCRIBE", channel)
            async with Listener(self._topics, topic, buffer) as listener:
                yield listener
        finally:
            self._leave(channel)

    async def close(self) -> None:
        """Nothing is heard any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()

    def _leave(self, channel: bytes) -> None:
        self._wanted[channel] -= 1
        if not self._wanted[channel]:
            del self._wanted[channel]
            self._link.tell(b"UNSUBSCRIBE", channel)

    def opening(self) -> Iterable[Command]:
        """See Ear."""
        return [(b"SUBSCRIBE", channel) for channel in (self._own, *self._wanted)]

    def broke(self) -> None:
        """See Ear."""
        self._heard.clear()
        self._broken.set()
        self._topics.end("Broadcasts may be missed.", code="redis_unavailable")

    async def _keep(self) -> None:
        """Notice a break, connect again, and say whether anything can be heard."""
        while True:
            try:
                await self._link.call(b"PING")
                self._away = None
                self._heard.set()
                self._broken.clear()
                with anyio.move_on_after(self._office.tuning.pulse_s):
                    await self._broken.wait()
            except BusUnavailable as error:
                self._away = error
                self._heard.clear()
                await anyio.sleep(self._office.tuning.pulse_s / 4)

    def hear(self, channel: bytes, frame: bytes) -> None:
        """See Ear."""
        try:
            envelope = self._office.codec.decode(frame)
        except Unsigned:
            self._office.log.alarm("unsigned", channel=channel.decode(errors="replace"))
        except (TooNew, Unreadable) as error:
            self._office.log.dropped("broadcast", error)
        else:
            self._pass_on(channel, envelope)

    def _pass_on(self, channel: bytes, envelope: Envelope) -> None:
        if channel == self._own:
            self.replies.deliver(envelope)
        else:
            topic = self._office.keys.topic_of(channel)
            self._topics.broadcast(topic, lambda: envelope)
