"""Waiting for what cannot tell by itself: another process, or a row in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

_EVERY_S = 0.02


async def until(
    holds: Callable[[], Awaitable[bool]],
    *,
    within_s: float = 5.0,
    every_s: float = _EVERY_S,
) -> bool:
    """Whether it came to hold in time; asks again and again until it does."""
    with anyio.move_on_after(within_s):
        while True:
            if await holds():
                return True

            await anyio.sleep(every_s)

    return False
