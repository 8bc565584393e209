"""The talker: the agent that holds conversations."""

from __future__ import annotations

from contextlib import AsyncExitStack

from agents import Activation
from agents.conversation import ConversationAgent, ConversationSettings, Means, Offers
from llm import Model
from sluicegate.wiring.parts import Parts
from store import open_context


async def start_talker(parts: Parts, model: Model, life: AsyncExitStack) -> None:
    """Start to hold conversations. Raises ConfigurationError."""
    settings = parts.settings
    context = await life.enter_async_context(
        open_context(settings.bus.url, namespace=settings.bus.namespace)
    )
    means = Means(
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
        model=model,
        context=context,
        offers=Offers(parts.store.definitions, parts.clock),
        settings=_settings(parts),
    )
    agent = await life.enter_async_context(ConversationAgent(means))
    parts.bus.on_loss(agent.sweep)
    await life.enter_async_context(
        Activation(
            parts.bus,
            parts.clock,
            name="conversation",
            ears=agent.ears(),
            chores=agent.chores(),
        )
    )


def _settings(parts: Parts) -> ConversationSettings:
    given, own = parts.settings.conversation, ConversationSettings()
    return ConversationSettings(
        instructions=given.instructions or own.instructions,
        max_parallel=given.max_parallel,
        lease_s=parts.settings.runs.lease_s,
        sweep_s=parts.settings.runs.sweep_s,
        verdict_ttl_s=parts.settings.gate.verdict_ttl_s,
        model_timeout_s=parts.settings.llm.timeout_s,
        run_wait_s=given.run_wait_s,
        max_output_tokens=given.max_output_tokens,
        budgets=lambda: parts.policies.current.policy.budgets,
    )
