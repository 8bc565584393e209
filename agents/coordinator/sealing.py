"""The sealer: links what was said, and signs how far each ledger has come."""

from __future__ import annotations

from agents.activation import Chore
from contracts import Clock, Seals, later, stamp
from store import Store

_EVERY_S = 1.0
_LEASE_S = 10.0
_AT_ONCE = 1_000


class Sealer:
    """Keeps the chain of a tenant's ledger whole, and its signed head close behind.

    Guarantees: one sealer at a time works on a ledger, and two do no harm; what it
    signed was in the chain. A cut end shows by the signed head.
    """

    def __init__(
        self,
        store: Store,
        seals: Seals,
        clock: Clock,
        *,
        owner: str,
        tenant: str = "default",
    ) -> None:
        """``owner`` is the process, as leases name it."""
        self._ledger = store.ledger
        self._leases = store.workers
        self._seals = seals
        self._clock = clock
        self._tenant = tenant
        self._owner = owner
        self._signed = 0

    def chores(self) -> tuple[Chore, ...]:
        """What it does by itself."""
        return (Chore("sealer", _EVERY_S, self.seal),)

    async def seal(self) -> None:
        """Link what waits and sign the head, if the ledger has grown and is ours.

        Raises StoreUnavailable.
        """
        if await self._has_grown() and await self._is_ours():
            while await self._ledger.chain(self._tenant, limit=_AT_ONCE) == _AT_ONCE:
                if not await self._is_ours():
                    return

            await self._sign()

    async def _has_grown(self) -> bool:
        last = await self._ledger.head(self._tenant)
        if last is not None and last.n > self._signed:
            return True

        return await self._ledger.unchained(self._tenant) > 0

    async def _is_ours(self) -> bool:
        now = stamp(self._clock.now())
        return await self._leases.lease(
            f"sealer:{self._tenant}",
            self._owner,
            now=now,
            until=later(now, _LEASE_S),
        )

    async def _sign(self) -> None:
        last = await self._ledger.head(self._tenant)
        if last is not None and last.n > self._signed:
            at = stamp(self._clock.now())
            await self._ledger.keep_head(self._seals.head_of(last, at))
            self._signed = last.n
