"""The ConversationAgent: rung for, it holds conversations until they rest."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from agents.activation import Chore, Ear, Hearing
from agents.conversation.desk import Means
from agents.conversation.keeper import Keeper
from agents.conversation.nudges import Nudges
from agents.mail import Mail
from contracts import Envelope, RunEnded, UserSpoke

_GROUP = "conversation"
_SLOTS = 64


class ConversationAgent:
    """Hears doorbells and the ends of runs; what is to be done lies in the store."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._keeper = Keeper(means)
        self._nudges = Nudges(means.bus, self._keeper, means.clock)
        self._mail = Mail(means.store.conversations, means.bus, means.clock)

    @property
    def held(self) -> int:
        """How many conversations are held now."""
        return self._keeper.held

    def ears(self) -> tuple[Ear, ...]:
        """What it listens to."""
        return (
            Hearing("user_spoke", UserSpoke, _GROUP, self.on_bell, _SLOTS),
            Hearing("run_ended", RunEnded, _GROUP, self.on_run_ended, _SLOTS),
        )

    def chores(self) -> tuple[Chore, ...]:
        """What it does by itself."""
        return (Chore("sweep", self._settings.sweep_s, self.sweep),)

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._keeper.__aenter__()
        await self._nudges.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give every conversation back."""
        await self._nudges.__aexit__(kind, error, trace)
        await self._keeper.__aexit__(kind, error, trace)

    async def on_bell(self, bell: UserSpoke, envelope: Envelope) -> None:
        """Something lies in an inbox. Raises StoreUnavailable."""
        await self._keeper.ring(envelope.tenant, bell.conversation_id)

    async def on_run_ended(self, ended: RunEnded, envelope: Envelope) -> None:
        """A run of a conversation has ended. Raises StoreUnavailable."""
        if ended.origin.kind == "conversation":
            chain = envelope.correlation_id
            await self._mail.run_ended(envelope.tenant, ended, chain=chain)

    async def sweep(self) -> None:
        """Find conversations that want to be held. Raises StoreUnavailable."""
        await self._keeper.sweep()
