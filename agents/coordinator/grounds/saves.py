"""Grounds of saved definitions: read, checked, with every problem at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from agents.coordinator.grounds.planning import Planning, plan_facts
from agents.coordinator.ruling import NO_PLAN, NOTHING, Case, Grounds
from contracts.action_args import SaveDefinition
from contracts.definitions import (
    AgentFlow,
    DefinitionKind,
    Stage,
    Tool,
    Workflow,
)
from plans import check_stage, check_tool, read_definition


class Saves:
    """Checks definitions before they are saved; pointers begin in the definition.

    Name and version conflicts are the store's to find, when it saves.
    """

    def __init__(self, planning: Planning) -> None:
        self._planning = planning

    def of(self, kind: DefinitionKind) -> Callable[[Case], Awaitable[Grounds]]:
        """The groundwork of ``KIND.save``."""

        async def lay(case: Case) -> Grounds:
            body = read_definition(kind, cast(SaveDefinition, case.args).definition)
            match body:
                case Workflow() | AgentFlow():
                    plan = await self._planning.of_draft(case.tenant, body)
                    facts = plan_facts(plan, version=None, published=False)
                    return Grounds(plan=facts)
                case Tool():
                    check_tool(body)
                    facts = {**NO_PLAN, "risk": body.risk, "tools": [body.name]}
                    return Grounds(plan=facts)
                case Stage():
                    check_stage(body)

            return NOTHING

        return lay
