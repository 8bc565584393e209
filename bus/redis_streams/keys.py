"""The names of everything the bus keeps in Redis, of one installation."""

from __future__ import annotations

import os
import secrets
import socket
from typing import NamedTuple


class Keys:
    """Names under one hash tag, so that all of them live in one slot."""

    def __init__(self, namespace: str) -> None:
        self._tag = f"{{{namespace}}}:".encode()
        self.janitor = self._tag + b"janitor"
        self.ping = self._tag + b"ping"
        self.letters = self._tag + b"dead"
        self.letter_order = self._tag + b"dead:order"
        self._topic = self._tag + b"topic:"

    def work(self, kind: str) -> bytes:
        """The stream of a kind."""
        return b"%bwork:%b" % (self._tag, kind.encode())

    def parked(self, kind: str) -> bytes:
        """The stream of messages of a kind that only a newer process reads."""
        return b"%bparked:%b" % (self._tag, kind.encode())

    def failures(self, kind: str, group: str) -> bytes:
        """The failed tries of what a group holds, by entry."""
        return b"%bfailures:%b:%b" % (self._tag, kind.encode(), group.encode())

    def alive(self, consumer: str) -> bytes:
        """What a consumer leaves there for as long as it lives."""
        return b"%balive:%b" % (self._tag, consumer.encode())

    def mark(self, process: str) -> bytes:
        """What a process left behind to see whether the bus forgets."""
        return b"%bmark:%b" % (self._tag, process.encode())

    def reply(self, process: str) -> bytes:
        """The reply channel of a process."""
        return b"%breply:%b" % (self._tag, process.encode())

    def topic(self, topic: str) -> bytes:
        """The channel of a topic."""
        return self._topic + topic.encode()

    def topic_of(self, channel: bytes) -> str:
        """The topic of a channel."""
        return channel.removeprefix(self._topic).decode()


class Seat(NamedTuple):
    """Where a subscription sits: its stream, its group, and its own name there."""

    kind: str
    group: str
    stream: bytes
    failures: bytes
    consumer: str


def own_name() -> str:
    """A name for a process or a consumer, which nobody else ever had."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
