"""Who writes: Telegram accounts, and the keys that speak for them."""

from __future__ import annotations

import hmac

from contracts import (
    KeyRow,
    Principal,
    derived_id,
    permissions_of,
    split_key,
)
from contracts.permissions import Role
from gateways.telegram.office import Office

_MOST_ACCOUNTS = 1_000


class Accounts:
    """Binds accounts with one-use codes, and knows whom each stands for.

    A code is a key whose door is Telegram. Once revoked or expired, the account is
    nobody's any more.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._records = office.records

    async def of(self, user_id: int) -> Principal | None:
        """The principal of an account; None for a stranger. Raises StoreUnavailable."""
        allowed = self._office.settings.allow.get(user_id)
        if allowed is not None:
            return await self._allowed(user_id, allowed)

        record = await self._records.get("account", str(user_id))
        key = record and await self._office.store.keys.get(record.body["key_id"])
        if not key or not self._is_good(key):
            return None

        who = self._principal(user_id, key.subject, key.roles)
        return who.model_copy(update={"code_id": key.id})

    async def bind(self, user_id: int, code: str) -> bool:
        """Bind an account with a code that nobody used before; whether it is bound.

        The same account may show its code again. Raises StoreUnavailable.
        """
        key = await self._key_of(code)
        if key is None:
            return False

        body = {"user_id": user_id, "key_id": key.id}
        used, _ = await self._records.add("code", key.id, body, kept_s=None)
        if used.body["user_id"] != user_id:
            return False

        account, ours = await self._records.add(
            "account", str(user_id), {"key_id": key.id}, kept_s=None
        )
        if not ours and account.body["key_id"] != key.id:
            await self._records.change(account, key_id=key.id)

        return True

    async def everybody(self) -> dict[int, Principal]:
        """Every account that stands for somebody, by its id."""
        records = await self._records.named("account", _MOST_ACCOUNTS)
        ids = {int(one.name) for one in records} | {*self._office.settings.allow}
        found = {user_id: await self.of(user_id) for user_id in sorted(ids)}
        return {user_id: who for user_id, who in found.items() if who is not None}

    async def _key_of(self, code: str) -> KeyRow | None:
        parts = split_key(code)
        if parts is None:
            return None

        key = await self._office.store.keys.get(parts[0])
        same = key is not None and hmac.compare_digest(
            key.secret_digest.encode(), parts[1].encode()
        )
        return key if key is not None and same and self._is_good(key) else None

    def _is_good(self, key: KeyRow) -> bool:
        ours = key.door == "telegram" and key.tenant == self._office.tenant
        return ours and key.is_alive(self._office.at())

    async def _allowed(self, user_id: int, roles: tuple[Role, ...]) -> Principal:
        tenant, name = self._office.tenant, f"telegram:{user_id}"
        fresh = derived_id("sub", "sub_00000000000000000000000000", tenant, name)
        subject = await self._office.store.keys.subject(tenant, name, fresh)
        return self._principal(user_id, subject, roles)

    def _principal(
        self, user_id: int, subject: str, roles: tuple[Role, ...]
    ) -> Principal:
        return Principal(
            id=f"tg_{user_id}",
            kind="telegram",
            subject=subject,
            permissions=permissions_of(roles),
            tenant=self._office.tenant,
        )
