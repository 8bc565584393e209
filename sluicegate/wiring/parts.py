"""What every role stands on: store, bus, keys, and the policy in force."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from agents.coordinator import PolicyBook
from bus import Bus, open_bus
from contracts import Clock, Policy, Seals
from sluicegate.config import Settings
from sluicegate.material import open_bus_key, open_seals
from sluicegate.roles import Roles
from store import Store, open_store

TENANT = "default"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process was made of before its roles started."""

    settings: Settings
    clock: Clock
    roles: Roles
    name: str
    """This process, fresh at every start."""

    store: Store
    bus: Bus
    policies: PolicyBook

    @property
    def embedded(self) -> bool:
        """Whether this process is alone: nobody else has its bus or store."""
        return not self.settings.bus.is_shared

    def seals(self) -> Seals:
        """The seals, for who judges or acts; a gateway never asks for them.

        Raises ConfigurationError.
        """
        keys = self.settings.keys
        return open_seals(
            self.settings.data_dir,
            given=keys.secret_of("seal"),
            file=keys.seal_file,
            shared=not self.embedded,
        )


async def open_parts(
    settings: Settings,
    clock: Clock,
    load: Callable[[], Policy],
    roles: Roles,
    life: AsyncExitStack,
) -> Parts:
    """Open store and bus for the life of the process.

    Raises ConfigurationError, StoreUnavailable.
    """
    store = await life.enter_async_context(
        open_store(settings.store_url, synchronous=settings.store.synchronous)
    )
    namespace = settings.bus.namespace
    opening = open_bus(
        settings.bus.url, clock, key=bus_key_of(settings), namespace=namespace
    )
    bus = await life.enter_async_context(opening)
    policies = PolicyBook(load, store, clock, tenant=TENANT)
    if "coordinator" in roles:
        await policies.enter()
    else:
        await policies.follow()

    name = f"{'-'.join(sorted(roles))}-{secrets.token_hex(8)}"
    return Parts(settings, clock, roles, name, store, bus, policies)


def bus_key_of(settings: Settings) -> bytes:
    """The key of a shared bus; one in memory has none. Raises ConfigurationError."""
    if not settings.bus.is_shared:
        return b""

    keys = settings.keys
    return open_bus_key(given=keys.secret_of("bus"), file=keys.bus_file)
