"""The sealer: signs how far each ledger has come, so that a cut end shows."""

from __future__ import annotations

from agents.activation import Chore
from contracts import Clock, Seals, stamp
from store import Ledger

_EVERY_S = 1.0


class Sealer:
    """Keeps the signed head of a tenant's ledger close behind the chain.

    Guarantees: what it signed was in the chain; it signs nothing twice.
    """

    def __init__(
        self, ledger: Ledger, seals: Seals, clock: Clock, *, tenant: str = "default"
    ) -> None:
        self._ledger = ledger
        self._seals = seals
        self._clock = clock
        self._tenant = tenant
        self._signed = 0

    def chores(self) -> tuple[Chore, ...]:
        """What it does by itself."""
        return (Chore("sealer", _EVERY_S, self.seal),)

    async def seal(self) -> None:
        """Sign the head if the chain has grown. Raises StoreUnavailable."""
        last = await self._ledger.head(self._tenant)
        if last is None or last.n <= self._signed:
            return

        at = stamp(self._clock.now())
        await self._ledger.keep_head(self._seals.head_of(last, at))
        self._signed = last.n
