"""Reloading the policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from contracts import Timestamp, read
from contracts.action_args import ReloadPolicy
from runs.carriers.carrying import Carried, Use


class PolicyReloading:
    """Carries ``policy.reload`` out; a broken policy leaves the old one in force."""

    def __init__(
        self,
        reload: Callable[[], Awaitable[bool]],
        revoke_before: Callable[[Timestamp], Awaitable[None]],
    ) -> None:
        """``reload`` says whether the policy changed; it raises for a broken one."""
        self._reload = reload
        self._revoke_before = revoke_before

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. ``revoke`` voids every verdict issued before now."""
        args = read(ReloadPolicy, use.decision.args)
        changed = await self._reload()
        if args.revoke:
            await self._revoke_before(use.at)

        return Carried({"changed": changed, "revoked": args.revoke})
