"""What the engine works with, and the terms it works under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bus import Bus
from contracts import Budget, Clock
from llm import Model
from runs.engine.authority import Authority
from runs.engine.planning import PinnedPlans
from runs.tools import Tools
from store import Store


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything an engine is connected to."""

    store: Store
    bus: Bus
    clock: Clock
    authority: Authority
    tools: Tools
    model: Model


@dataclass(frozen=True, slots=True)
class Terms:
    """How many, how long, how much; times in seconds."""

    max_parallel: int = 64
    node_parallel: int = 8
    lease_s: float = 15.0
    sweep_s: float = 5.0
    verdict_ttl_s: float = 300.0
    close_s: float = 10.0
    """How long calls that were sent may still take when the engine closes."""

    model_timeout_s: float = 120.0
    """How long a call of a model may take, unless its node says otherwise."""

    budgets: Callable[[], tuple[Budget, ...]] = tuple
    """The budgets in force; asked at each call, because a reload changes them."""

    @property
    def claim_s(self) -> float:
        """How long a claim holds unless it is renewed.

        Shorter than the lease, so that a dead worker's run is taken over within two
        leases: claim, grace and one sweep.
        """
        return self.lease_s * 2 / 3

    @property
    def grace_s(self) -> float:
        """How long after its end nobody else takes a claim."""
        return self.lease_s

    @property
    def send_margin_s(self) -> float:
        """How much of a claim is left, at least, when something is sent."""
        return min(5.0, self.claim_s / 2)


@dataclass(frozen=True, slots=True)
class Equipment:
    """What an engine gives each of its drivers."""

    ports: Ports
    terms: Terms
    plans: PinnedPlans
