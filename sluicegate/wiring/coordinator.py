"""The coordinator: the gate, its votes and sweep, and the sealer of the ledger."""

from __future__ import annotations

from contextlib import AsyncExitStack

from agents import Activation
from agents.coordinator import CoordinatorAgent, Gate, GateSettings, Sealer, Verdicts
from sluicegate.wiring.parts import TENANT, Parts

_ONE_CLOCK_S = 5.0
"""All roles in one process read one clock: what is left is a call under way."""


async def start_coordinator(parts: Parts, life: AsyncExitStack) -> None:
    """Start to judge. Raises ConfigurationError, StoreUnavailable."""
    settings, seals = _settings(parts), parts.seals()
    agent = CoordinatorAgent(
        gate=Gate(parts.store, parts.policies, parts.clock, settings),
        verdicts=Verdicts(seals, settings),
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
    )
    sealer = Sealer(parts.store, seals, parts.clock, owner=parts.name, tenant=TENANT)
    parts.bus.on_loss(agent.take_over)
    await life.enter_async_context(
        Activation(
            parts.bus,
            parts.clock,
            name="coordinator",
            ears=agent.ears(),
            chores=(*agent.chores(), *sealer.chores()),
        )
    )
    if parts.embedded:
        await agent.take_over()


def _settings(parts: Parts) -> GateSettings:
    gate = parts.settings.gate
    talk = parts.settings.conversation
    return GateSettings(
        turn_limits={
            "model_calls": talk.turn_model_calls,
            "tokens": talk.turn_tokens,
            "cost_micros": round(talk.turn_cost * 1_000_000),
            "seconds": talk.turn_seconds,
        },
        verdict_ttl_s=gate.verdict_ttl_s,
        sweep_s=parts.settings.runs.sweep_s,
        clock_skew_s=_ONE_CLOCK_S if parts.embedded else gate.clock_skew_s,
    )
