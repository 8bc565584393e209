"""The worker: the engine, the run entry, and the agent that knows it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import NamedTuple

from agents import Activation
from agents.mail import Mail
from agents.workflow import Nudges, WorkflowAgent
from contracts import Budget
from llm import Model, open_model
from runs import (
    Engine,
    HttpPolicy,
    Ports,
    Terms,
    Tools,
    open_tools,
    registered_functions,
)
from runs.admission import ABANDONED_S, Admission
from runs.carriers import PolicyReloading, RunStarting, carriers
from runs.entry import RunEntry
from sluicegate.credentials import credentials
from sluicegate.models import choice_of
from sluicegate.wiring.parts import Parts
from sluicegate.wiring.talker import start_talker


class Worker(NamedTuple):
    """A started worker, as its heartbeat tells of it."""

    engine: Engine
    tools: Tools
    model: str | None
    """The model that it asks; None without one."""


async def start_worker(parts: Parts, life: AsyncExitStack) -> Worker:
    """Start to take verdicts and runs. Raises ConfigurationError."""
    admission = _admission(parts)
    tools = await life.enter_async_context(_tools(parts))
    opening = open_model(choice_of(parts.settings.llm), parts.clock)
    model = await life.enter_async_context(opening)
    engine = await life.enter_async_context(_engine(parts, admission, tools, model))
    entry = _entry(parts, admission, engine)
    entry.on_outcome(Mail(parts.store.conversations, parts.bus, parts.clock).outcome)
    agent = WorkflowAgent(
        entry=entry,
        engine=engine,
        bus=parts.bus,
        clock=parts.clock,
    )
    parts.bus.on_loss(lambda: _sweep(engine))
    await life.enter_async_context(Nudges(parts.bus, engine, parts.clock))
    await life.enter_async_context(
        Activation(parts.bus, parts.clock, name="workflow-agent", ears=agent.ears())
    )
    await start_talker(parts, model, life)
    return Worker(engine, tools, model.name or None)


def _admission(parts: Parts) -> Admission:
    # alone, who claimed something before is an earlier process, and gone
    return Admission(
        parts.store,
        parts.seals(),
        parts.clock,
        abandoned_s=0.0 if parts.embedded else ABANDONED_S,
        revoked_before=lambda: parts.policies.revoked_before,
    )


def _tools(parts: Parts) -> AbstractAsyncContextManager[Tools]:
    http = parts.settings.tools.http
    return open_tools(
        parts.clock,
        policy=HttpPolicy(allow_private=http.allow_private, ports=http.ports),
        credentials=credentials(parts.settings),
        functions=registered_functions(),
    )


def _engine(parts: Parts, admission: Admission, tools: Tools, model: Model) -> Engine:
    runs = parts.settings.runs
    ports = Ports(
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
        authority=admission,
        tools=tools,
        model=model,
    )
    terms = Terms(
        max_parallel=runs.max_parallel,
        node_parallel=runs.node_parallel,
        lease_s=runs.lease_s,
        sweep_s=runs.sweep_s,
        verdict_ttl_s=parts.settings.gate.verdict_ttl_s,
        model_timeout_s=parts.settings.llm.timeout_s,
        budgets=lambda: _budgets(parts),
    )
    return Engine(ports, terms)


def _entry(parts: Parts, admission: Admission, engine: Engine) -> RunEntry:
    starting = RunStarting(
        runs=parts.store.runs,
        definitions=parts.store.definitions,
        bus=parts.bus,
        worker=engine,
        budgets=lambda: _budgets(parts),
    )
    policies = parts.policies
    return RunEntry(
        store=parts.store,
        clock=parts.clock,
        admission=admission,
        starting=starting,
        carriers={
            **carriers(parts.store, parts.bus, starting),
            "policy.reload": PolicyReloading(policies.reload, policies.revoke),
        },
    )


def _budgets(parts: Parts) -> tuple[Budget, ...]:
    return parts.policies.current.policy.budgets


async def _sweep(engine: Engine) -> None:
    await engine.sweep()
