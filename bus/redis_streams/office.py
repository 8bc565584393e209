"""What all parts of one Redis bus share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bus.codec import Codec
from bus.log_lines import LogLines
from bus.redis_streams.address import Address
from bus.redis_streams.keys import Keys
from bus.redis_streams.link import Link
from bus.redis_streams.tuning import Tuning
from contracts import Clock


@dataclass(frozen=True, slots=True)
class Office:
    """The parts, and whom to tell that messages are gone."""

    address: Address
    keys: Keys
    codec: Codec
    clock: Clock
    tuning: Tuning
    link: Link
    """The connection that everything but blocking reads goes through."""

    log: LogLines
    ring: Callable[[], None]
    """To be called when messages are found to be gone."""
