"""A claim: a run that is ours for a while, by our own monotonic clock."""

from __future__ import annotations

from contracts import RunRow, SequenceConflict, later, seconds_between, stamp
from contracts.failpoints import reach
from runs.engine.ports import Ports, Terms


class Claim:
    """The lease of one run, as its owner sees it."""

    def __init__(self, ports: Ports, terms: Terms, owner: str, run: RunRow) -> None:
        self._runs = ports.store.runs
        self._clock = ports.clock
        self._terms = terms
        self._tenant = run.tenant
        self._run_id = run.id
        self.owner = owner
        now = stamp(ports.clock.now())
        held = seconds_between(now, run.lease.until) if run.lease else 0.0
        self._ends = ports.clock.monotonic() + min(held, terms.claim_s)

    def left(self) -> float:
        """Seconds until it ends; negative afterwards."""
        return self._ends - self._clock.monotonic()

    async def renew(self) -> None:
        """Prolong it. Raises SequenceConflict if it is somebody else's by now."""
        began = self._clock.monotonic()
        until = later(stamp(self._clock.now()), self._terms.claim_s)
        reach("B18")
        if not await self._runs.renew(
            self._tenant, self._run_id, owner=self.owner, until=until
        ):
            raise SequenceConflict("The claim of the run was lost.")

        self._ends = began + self._terms.claim_s

    async def assure(self) -> None:
        """Return with enough left to send something. Raises SequenceConflict."""
        if self.left() < self._terms.send_margin_s:
            await self.renew()

    async def release(self) -> None:
        """Give it back."""
        await self._runs.release(self._tenant, self._run_id, owner=self.owner)


async def claimed(
    ports: Ports, terms: Terms, owner: str, tenant: str, run_id: str
) -> tuple[RunRow, Claim] | None:
    """Claim a run that nobody holds, or whose holder is gone for the grace time."""
    now = stamp(ports.clock.now())
    row = await ports.store.runs.claim(
        tenant,
        run_id,
        owner=owner,
        now=later(now, -terms.grace_s),
        until=later(now, terms.claim_s),
    )
    return None if row is None else (row, Claim(ports, terms, owner, row))
