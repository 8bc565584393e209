"""How a message is carried: publish, subscribe, ask, reply, broadcast, listen."""

from __future__ import annotations

from bus.opening import open_bus
from bus.protocol import Bus, DeadLetter, GroupState, Handler, Subscription

__all__ = ["Bus", "DeadLetter", "GroupState", "Handler", "Subscription", "open_bus"]
