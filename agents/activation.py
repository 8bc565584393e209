"""The generic half of every agent: it is fed messages and does its chores.

The type of a message's body chooses the handler; an agent has no loop and no queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from bus import Bus, Subscription
from contracts import Clock, Envelope, SluicegateError
from contracts.envelope import Kind
from contracts.message import Message

B = TypeVar("B", bound=Message)

_BOUND_FROM_BODY = ("decision_id", "run_id", "conversation_id")


@cache
def _bound_of(body: type[Message]) -> tuple[str, ...]:
    """The ids that messages of this type hold of what they are about."""
    return tuple(name for name in _BOUND_FROM_BODY if name in body.model_fields)


class Ear(Protocol):
    """One kind of message that an agent listens to.

    Guarantees: returning acknowledges the message; hearing one twice is harmless.
    """

    @property
    def kind(self) -> Kind:
        """The kind of the messages."""

    @property
    def group(self) -> str:
        """Each message reaches one listener of a group."""

    @property
    def slots(self) -> int:
        """How many messages are handled at a time."""

    async def hear(self, envelope: Envelope) -> None:
        """Handle one message. Raises what the handler raises."""


@dataclass(frozen=True, slots=True)
class Hearing(Generic[B]):
    """An ear for bodies of one type; others are acknowledged and not handed over."""

    kind: Kind
    body: type[B]
    group: str
    on: Callable[[B, Envelope], Awaitable[None]]
    slots: int = 8

    async def hear(self, envelope: Envelope) -> None:
        """See Ear."""
        if isinstance(envelope.body, self.body):
            await self.on(envelope.body, envelope)


@dataclass(frozen=True, slots=True)
class Chore:
    """What an agent does by itself, again and again."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[None]]


class Activation:
    """An agent that lives: its ears are fed, its chores are done.

    Guarantees: handlers run with the envelope's ids bound to every log line; an
    error of a handler is the bus's to judge; an error of a chore is logged as an
    alarm and the chore is done again at its next time. After ``close`` nothing of
    the agent runs.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        name: str,
        ears: Sequence[Ear] = (),
        chores: Sequence[Chore] = (),
    ) -> None:
        """Nothing runs before ``start``."""
        self._bus = bus
        self._clock = clock
        self._name = name
        self._ears = tuple(ears)
        self._chores = tuple(chores)
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._log = structlog.get_logger(name).bind(agent=name)

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    def start(self) -> None:
        """Open every ear and begin every chore."""
        for ear in self._ears:
            self._subscriptions.append(self._subscribe(ear))

        for chore in self._chores:
            name = f"{self._name}: {chore.name}"
            self._tasks.append(asyncio.create_task(self._repeat(chore), name=name))

    async def close(self) -> None:
        """Finish what is being handled, stop the chores. Twice is harmless."""
        self._closing = True
        ears, self._subscriptions = self._subscriptions, []
        await asyncio.gather(*(ear.close() for ear in ears))

        for task in self._tasks:
            task.cancel()

        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _subscribe(self, ear: Ear) -> Subscription:
        async def handler(envelope: Envelope) -> None:
            await self._handle(ear, envelope)

        return self._bus.subscribe(ear.kind, ear.group, handler, slots=ear.slots)

    async def _handle(self, ear: Ear, envelope: Envelope) -> None:
        began = self._clock.monotonic()
        tokens = bind_contextvars(**_ids(envelope))
        ending = "raised"
        try:
            await ear.hear(envelope)
            ending = "done"
        finally:
            self._log.info(
                "message.handled",
                kind=ear.kind,
                group=ear.group,
                ending=ending,
                duration_ms=round((self._clock.monotonic() - began) * 1_000, 3),
            )
            reset_contextvars(**tokens)

    async def _repeat(self, chore: Chore) -> None:
        # a driver may turn the one cancellation of a chore into an error of its own
        while not self._closing:
            await self._clock.sleep(chore.every_s)
            try:
                await chore.do()
            except SluicegateError as error:
                self._log.warning("alarm", alarm=chore.name, error=str(error))
            except Exception:  # noqa: BLE001  a chore outlives its errors
                self._log.exception("alarm", alarm=chore.name)


def _ids(envelope: Envelope) -> dict[str, str]:
    """The ids of a message and of what it is about."""
    body = envelope.body
    found = {name: getattr(body, name) for name in _bound_of(type(body))}
    ids = {name: value for name, value in found.items() if value is not None}
    if "id" in type(body).model_fields:
        ids[f"{envelope.kind}_id"] = getattr(body, "id")  # noqa: B009  by its type

    return {
        **ids,
        "message_id": envelope.id,
        "correlation_id": envelope.correlation_id,
        "tenant": envelope.tenant,
    }
