"""Preflight: whether some live worker can do what a plan needs."""

from __future__ import annotations

from agents.coordinator.ruling import NO_NEEDS, Needs
from agents.coordinator.settings import GateSettings
from contracts import Capabilities, Clock, PermanentError, later, stamp
from store import Workers

_FRESH_S = 1.0


class Preflight:
    """Looks at what live workers published with their heartbeat."""

    def __init__(self, workers: Workers, clock: Clock, settings: GateSettings) -> None:
        self._workers = workers
        self._clock = clock
        self._settings = settings
        self._alive: tuple[Capabilities, ...] = ()
        self._read_at = float("-inf")

    async def check(self, needs: Needs) -> None:
        """Raise PermanentError (503) naming what no live worker offers.

        Workers are read at most once a second.
        """
        if needs == NO_NEEDS:
            return

        missing = _missing(needs, await self._workers_alive())
        if missing:
            only_model = missing == ["model"]
            code = "model_not_configured" if only_model else "dependency_unavailable"
            raise PermanentError(
                f"No worker offers {', '.join(missing)}.",
                code=code,
                details={"missing": missing},
            )

    async def _workers_alive(self) -> tuple[Capabilities, ...]:
        now = self._clock.monotonic()
        if now - self._read_at > _FRESH_S:
            since = later(stamp(self._clock.now()), -self._settings.worker_silence_s)
            self._alive = await self._workers.alive(since)
            self._read_at = now

        return self._alive


def _missing(needs: Needs, alive: tuple[Capabilities, ...]) -> list[str]:
    tools = needs.python_tools.difference(*(w.python_tools for w in alive))
    knowledge = needs.knowledge.difference(*(w.knowledge for w in alive))
    model = needs.model and not any(worker.model for worker in alive)
    return [*sorted(tools), *sorted(knowledge), *(["model"] if model else [])]
