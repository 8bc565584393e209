"""The first key: a fresh store gets one admin key, and one only."""

from __future__ import annotations

from contracts import (
    ConfigurationError,
    KeyRow,
    Role,
    fresh_key,
    later,
    new_id,
    split_key,
    stamp,
)
from sluicegate.material import keep
from sluicegate.wiring.parts import TENANT, Parts

_ROLES: tuple[Role, ...] = ("admin",)
_LEASE_S = 15.0
_LOOK_AGAIN_S = 0.5


async def make_first_key(parts: Parts) -> bool:
    """Make the admin key of a fresh store; whether this was its first start.

    Of several processes that start at once one makes it, and the others wait for it;
    without ``keys.bootstrap_admin`` that is a gateway, which keeps it in its
    ``data_dir``. Raises ConfigurationError, StoreUnavailable.
    """
    given = parts.settings.keys.secret_of("bootstrap_admin")
    if not (given or "gateway" in parts.roles):
        return False

    while not await _has_keys(parts):
        if await _is_ours(parts) and not await _has_keys(parts):
            await _make(parts, given)
            return True

        # whoever makes it may have died of it: then it is ours after the lease
        await parts.clock.sleep(_LOOK_AGAIN_S)

    return False


async def _make(parts: Parts, given: str) -> None:
    whole = given or fresh_key()[1]
    named = split_key(whole)
    if named is None:
        raise ConfigurationError(
            "keys.bootstrap_admin has the form sg_<26 characters>_<32 or more>"
        )

    if not given:
        # before its row: a start that is cut off here leaves no key nobody knows
        keep(parts.settings.data_dir / "admin.key", whole)

    subject = await parts.store.keys.subject(TENANT, "admin", new_id("sub"))
    await parts.store.keys.create(
        KeyRow(
            id=named[0],
            tenant=TENANT,
            subject=subject,
            subject_name="admin",
            roles=_ROLES,
            secret_digest=named[1],
            label="made at the first start",
            created_at=stamp(parts.clock.now()),
        )
    )


async def _has_keys(parts: Parts) -> bool:
    return bool((await parts.store.keys.page(TENANT, limit=1)).items)


async def _is_ours(parts: Parts) -> bool:
    if parts.embedded:
        return True

    now = stamp(parts.clock.now())
    return await parts.store.workers.lease(
        "first-key", parts.name, now=now, until=later(now, _LEASE_S)
    )
