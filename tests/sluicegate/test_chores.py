"""What a process does by itself while it lives."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from agents.coordinator import PolicyBook
from bus import open_bus
from contracts import IdempotencyRow, Policy, later, new_id, stamp
from sluicegate.roles import roles_of
from sluicegate.wiring.chores import start_chores
from sluicegate.wiring.parts import Parts
from store import Store, open_store
from tests.support.clock import FakeClock
from tests.support.serving import settings_at

HOUR_S = 3_600


async def test_within_an_hour_a_process_forgets_keys_whose_time_is_over(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with (
        open_store("sqlite://:memory:") as store,
        open_bus("memory://", clock) as bus,
        AsyncExitStack() as life,
    ):
        policies = PolicyBook(Policy, store, clock)
        await policies.enter()
        settings, roles = settings_at(tmp_path), roles_of("gateway")
        parts = Parts(settings, clock, roles, "gateway-1", store, bus, policies)
        await start_chores(parts, None, life)
        await store.idempotency.claim(row(clock, "old", 60))
        await store.idempotency.claim(row(clock, "young", 2 * HOUR_S))

        await clock.advance(HOUR_S + 1)

        assert await _has(store, clock, "old") is False
        assert await _has(store, clock, "young") is True


def row(clock: FakeClock, key: str, lives_s: float) -> IdempotencyRow:
    at = stamp(clock.now())
    return IdempotencyRow(
        tenant="default",
        subject="sub_ada",
        route="/runs",
        key=key,
        fingerprint="f",
        decision_id=new_id("dec"),
        created_at=at,
        expires_at=later(at, lives_s),
    )


async def _has(store: Store, clock: FakeClock, key: str) -> bool:
    """Whether a key of that name is still there, live or not."""
    before = (await store.counts())["idempotency"]
    await store.idempotency.claim(row(clock, key, HOUR_S))
    return (await store.counts())["idempotency"] == before
