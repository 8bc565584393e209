"""The policy in force: loaded, compiled, replaced, and followed by every process."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agents.activation import Chore
from agents.coordinator.policy import CompiledPolicy, compile_policy
from contracts import (
    Clock,
    ConfigurationError,
    Policy,
    PolicyRow,
    SluicegateError,
    Timestamp,
    read,
    stamp,
)
from store import Store

_FOLLOW_S = 1.0
"""How long, at most, a process goes on under a policy that another one replaced."""


class PolicyBook:
    """Holds the current policy; the store holds which one that is for everybody.

    Guarantees: there is always one; a broken one never replaces a good one; none
    is in force before the ledger knows it; a change by one process is followed by
    the others at their next look.
    """

    def __init__(
        self,
        load: Callable[[], Policy],
        store: Store,
        clock: Clock,
        *,
        tenant: str = "default",
    ) -> None:
        """Raises ConfigurationError with everything that is wrong with the policy."""
        self._load = load
        self._ledger = store.ledger
        self._policies = store.policies
        self._clock = clock
        self._tenant = tenant
        self._log = structlog.get_logger("coordinator").bind()
        self._revision = 0
        self.current: CompiledPolicy = compile_policy(load())
        self.revoked_before: Timestamp | None = None
        """Verdicts issued before this moment are not honoured."""

    def chores(self) -> tuple[Chore, ...]:
        """What it does by itself."""
        return (Chore("policy", _FOLLOW_S, self.follow),)

    async def enter(self) -> None:
        """Put the policy of the start in force, for everybody.

        Raises StoreUnavailable.
        """
        await self._put_in_force(self.current)
        self._say(self.current)

    async def reload(self) -> bool:
        """Load the policy again and put it in force; whether it changed.

        Raises ConfigurationError for a broken one, after an alarm; the old one stays.
        """
        try:
            fresh = compile_policy(self._load())
        except SluicegateError as error:
            self._alarm("policy_broken", error)
            raise ConfigurationError(error.message, details=error.details) from error

        changed = await self._put_in_force(fresh)
        if changed:
            self._say(fresh)

        return changed

    async def revoke(self, before: Timestamp) -> None:
        """Honour no verdict that was issued before this moment, anywhere.

        Raises StoreUnavailable.
        """
        while True:
            row = await self._row()
            if row.revoked_before is not None and row.revoked_before >= before:
                break

            fresh = await self._replaced(row, revoked_before=before)
            if fresh is not None:
                self._adopt(fresh)
                break

    async def follow(self) -> None:
        """Take over what another process put in force. Raises StoreUnavailable."""
        before = self._revision
        row = await self._policies.current(self._tenant)
        # what was put in force here meanwhile may be newer than what was read
        if row is None or row.revision == before or self._revision != before:
            return

        self.revoked_before = row.revoked_before
        try:
            self._adopt(row)
        except SluicegateError as error:
            self._alarm("policy_not_followed", error)

    async def _put_in_force(self, policy: CompiledPolicy) -> bool:
        """Whether another one, or none, was in force before."""
        while True:
            row = await self._row()
            if row.digest == policy.digest:
                self._take(row, policy)
                return False

            await self._chain(policy, replaced=row.digest or None)
            fresh = await self._replaced(
                row, digest=policy.digest, policy=policy.policy.plain()
            )
            if fresh is not None:
                self._take(fresh, policy)
                return True

    async def _replaced(self, row: PolicyRow, **changes: object) -> PolicyRow | None:
        """The row changed from its revision; None if somebody else just did."""
        at, revision = stamp(self._clock.now()), row.revision + 1
        fresh = row.model_copy(update={**changes, "revision": revision, "at": at})
        changed = await self._policies.replace(fresh, from_revision=row.revision)
        return fresh if changed else None

    async def _row(self) -> PolicyRow:
        """The row in force, or the one before the first."""
        row = await self._policies.current(self._tenant)
        at = stamp(self._clock.now())
        return row or PolicyRow(
            tenant=self._tenant, digest="", policy={}, revision=0, at=at
        )

    def _adopt(self, row: PolicyRow) -> None:
        if row.digest == self.current.digest:
            self._take(row, self.current)
        else:
            self._take(row, compile_policy(read(Policy, row.policy)))
            self._say(self.current)

    def _take(self, row: PolicyRow, policy: CompiledPolicy) -> None:
        self.current = policy
        self.revoked_before = row.revoked_before
        self._revision = row.revision

    async def _chain(self, policy: CompiledPolicy, *, replaced: str | None) -> None:
        at = stamp(self._clock.now())
        body = {"policy": policy.policy.plain(), "replaced": replaced, "at": at}
        await self._ledger.add(self._tenant, "policy", policy.digest, body, at)

    def _say(self, policy: CompiledPolicy) -> None:
        self._log.info(
            "policy.loaded",
            policy_digest=policy.digest,
            mode=policy.mode,
            rules=len(policy.policy.rules),
        )

    def _alarm(self, alarm: str, error: SluicegateError) -> None:
        self._log.error(
            "alarm",
            alarm=alarm,
            error=error.message,
            policy_digest=self.current.digest,
        )
