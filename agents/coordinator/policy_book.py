"""The policy in force: loaded, compiled, replaced; each change is in the ledger."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agents.coordinator.policy import CompiledPolicy, compile_policy
from contracts import Clock, ConfigurationError, Policy, SluicegateError, stamp
from store import Ledger


class PolicyBook:
    """Holds the current policy.

    Guarantees: there is always one; a broken one never replaces a good one; none
    is in force before the ledger knows it.
    """

    def __init__(
        self,
        load: Callable[[], Policy],
        ledger: Ledger,
        clock: Clock,
        *,
        tenant: str = "default",
    ) -> None:
        """Raises ConfigurationError with everything that is wrong with the policy."""
        self._load = load
        self._ledger = ledger
        self._clock = clock
        self._tenant = tenant
        self._log = structlog.get_logger("coordinator").bind()
        self.current: CompiledPolicy = compile_policy(load())

    async def enter(self) -> None:
        """Put the policy of the start into the ledger if it never was there.

        Raises StoreUnavailable.
        """
        known = await self._ledger.of(self._tenant, self.current.digest)
        if not known:
            await self._chain(self.current, replaced=None)

        self._say(self.current)

    async def reload(self) -> bool:
        """Load the policy again; whether it changed.

        Raises ConfigurationError for a broken one, after an alarm; the old one stays.
        """
        try:
            fresh = compile_policy(self._load())
        except SluicegateError as error:
            self._log.error(
                "alarm",
                alarm="policy_broken",
                error=error.message,
                policy_digest=self.current.digest,
            )
            raise ConfigurationError(error.message, details=error.details) from error

        if fresh.digest == self.current.digest:
            return False

        await self._chain(fresh, replaced=self.current.digest)
        self.current = fresh
        self._say(fresh)
        return True

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
