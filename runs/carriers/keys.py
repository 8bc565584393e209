"""Making and revoking bearer keys."""

from __future__ import annotations

from contracts import (
    JsonObject,
    KeyRow,
    NotFound,
    derived_id,
    fresh_key,
    read,
    secret_digest,
)
from contracts.action_args import CreateKey, OfId
from runs.carriers.carrying import Carried, Use
from store import Keys, Ledger


class KeyCreating:
    """Carries ``key.create`` out; the key itself is shown once and kept nowhere."""

    def __init__(self, keys: Keys, ledger: Ledger) -> None:
        self._keys = keys
        self._ledger = ledger

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. Done again, it shows no key: make another one."""
        args = read(CreateKey, use.decision.args)
        row, whole = await self._row(use, args)
        stored = await self._keys.create(row)
        await self._ledger.add(
            use.tenant, "key", stored.id, {"created": _public(stored)}, use.at
        )
        shown = {"key": whole} if stored.secret_digest == row.secret_digest else {}
        return Carried(_public(stored), shown_once=shown)

    async def _row(self, use: Use, args: CreateKey) -> tuple[KeyRow, str]:
        subject = await self._keys.subject(
            use.tenant, args.subject, derived_id("sub", use.decision.id)
        )
        key_id, whole = fresh_key(derived_id("key", use.decision.id))
        row = KeyRow(
            id=key_id,
            tenant=use.tenant,
            subject=subject,
            subject_name=args.subject,
            roles=args.roles,
            secret_digest=secret_digest(whole.split("_", 2)[2]),
            label=args.label,
            door=args.door,
            created_at=use.at,
            expires_at=args.expires_at,
        )
        return row, whole


class KeyRevoking:
    """Carries ``key.revoke`` out."""

    def __init__(self, keys: Keys, ledger: Ledger) -> None:
        self._keys = keys
        self._ledger = ledger

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. Raises NotFound."""
        key_id = read(OfId, use.decision.args).id
        if not await self._keys.revoke(use.tenant, key_id, use.at):
            raise NotFound(f"There is no key {key_id!r}.")

        await self._ledger.add(
            use.tenant,
            "key",
            key_id,
            {"revoked": key_id, "by": use.approved.subject},
            use.at,
        )
        return Carried({"id": key_id, "revoked": True})


def _public(key: KeyRow) -> JsonObject:
    return {
        "id": key.id,
        "subject": key.subject_name,
        "subject_id": key.subject,
        "roles": list(key.roles),
        "label": key.label,
        "door": key.door,
        "expires_at": key.expires_at,
    }
