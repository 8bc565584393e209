"""How a message is carried: publish, subscribe, ask, reply, broadcast, listen."""

from __future__ import annotations

from bus.opening import examine_bus, open_bus
from bus.protocol import Bus, DeadLetter, GroupState, Handler, Subscription

__all__ = [
    "Bus",
    "DeadLetter",
    "GroupState",
    "Handler",
    "Subscription",
    "examine_bus",
    "open_bus",
]
