"""Whether a principal may still act: its key lives, and nothing is frozen."""

from __future__ import annotations

from contracts import FreezeRow, PermanentError, Principal, Timestamp, permissions_of
from store import Freezes, Keys


class Standing:
    """Checked again before every effect, not only at the decision."""

    def __init__(self, keys: Keys, freezes: Freezes) -> None:
        self._keys = keys
        self._freezes = freezes

    async def check(
        self,
        principal: Principal,
        *,
        permission: str,
        frozen: tuple[tuple[str, str], ...] | None,
        at: Timestamp,
    ) -> None:
        """Raise ``forbidden`` or ``frozen`` if this may not happen now.

        ``frozen`` lists the scopes a freeze of which counts, besides the tenant;
        None is exempt from every freeze.
        """
        if permission not in await self._permissions(principal, at):
            raise PermanentError(
                f"The principal no longer has the permission {permission}.",
                code="forbidden",
            )

        if frozen is not None:
            await self._refuse_frozen(principal.tenant, frozen)

    async def _permissions(
        self, principal: Principal, at: Timestamp
    ) -> tuple[str, ...]:
        if principal.key_id is None:
            return principal.permissions

        key = await self._keys.get(principal.key_id)
        if key is None or not key.is_alive(at):
            return ()

        return permissions_of(key.roles)

    async def _refuse_frozen(
        self, tenant: str, scopes: tuple[tuple[str, str], ...]
    ) -> None:
        for row in await self._freezes.of(tenant):
            if row.scope == "tenant" or (row.scope, row.name) in scopes:
                raise _frozen(row)


def _frozen(row: FreezeRow) -> PermanentError:
    what = "Everything" if row.scope == "tenant" else f"The {row.scope} {row.name}"
    return PermanentError(
        f"{what} is frozen. {row.reason}".rstrip(),
        code="frozen",
        details={"scope": row.scope, "name": row.name, "reason": row.reason},
    )
