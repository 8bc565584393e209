"""How the coordinator is set: times in seconds, and what a turn may use."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts import JsonObject


def _turn_limits() -> JsonObject:
    return {
        "model_calls": 8,
        "tokens": 60_000,
        "cost_micros": 1_000_000,
        "seconds": 120,
    }


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What the configuration says of the gate besides the policy."""

    verdict_ttl_s: float = 300.0
    """A verdict is honoured so long after it was sealed, at most."""

    sweep_s: float = 5.0
    """How often the coordinator looks for what is due."""

    release_grace_s: float = 10.0
    """A verdict nobody performed is released again after so long."""

    clock_skew_s: float = 30.0
    """A verdict so long past its end is used by nobody, whatever their clock says."""

    worker_silence_s: float = 20.0
    """A worker that has said nothing for so long counts as gone."""

    turn_limits: JsonObject = field(default_factory=_turn_limits)
    """What a conversation turn may use, in whole numbers; cost in millionths."""
