"""Freezing and thawing."""

from __future__ import annotations

from contracts import FreezeRow, InvalidInput, NotFound, read
from contracts.action_args import Freeze
from runs.carriers.carrying import Carried, Use
from store import Definitions, Freezes, Ledger


class Freezing:
    """Carries ``freeze.set`` and ``freeze.clear`` out."""

    def __init__(
        self, definitions: Definitions, freezes: Freezes, ledger: Ledger
    ) -> None:
        self._definitions = definitions
        self._freezes = freezes
        self._ledger = ledger

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. Raises NotFound for thawing what is not frozen."""
        args = read(Freeze, use.decision.args)
        if (args.scope == "tenant") != (args.name is None):
            raise InvalidInput("A tool or workflow is named; a tenant is not.")

        if use.decision.action == "freeze.set":
            args = await self._named(use, args)
            await self._freezes.set(_row(use, args))
        elif not await self._freezes.clear(use.tenant, args.scope, args.name or ""):
            raise NotFound(f"No {args.scope} {args.name or ''!r} is frozen.")

        told = {"scope": args.scope, "name": args.name, "reason": args.reason}
        body = {"action": use.decision.action, "by": use.approved.subject, **told}
        await self._ledger.add(use.tenant, "freeze", use.decision.id, body, use.at)
        return Carried({**told, "frozen": use.decision.action == "freeze.set"})

    async def _named(self, use: Use, args: Freeze) -> Freeze:
        """What to freeze by its name; a name nobody bears would freeze nothing."""
        if args.scope == "tenant" or args.name is None:
            return args

        head = await self._definitions.head(use.tenant, args.scope, args.name)
        if head is None:
            raise NotFound(f"There is no {args.scope} {args.name!r}.")

        return args.model_copy(update={"name": head.name})


def _row(use: Use, args: Freeze) -> FreezeRow:
    return FreezeRow(
        tenant=use.tenant,
        scope=args.scope,
        name=args.name or "",
        reason=args.reason,
        by=use.approved.subject,
        at=use.at,
    )
