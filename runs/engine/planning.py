"""Plans of runs: compiled from exactly what a run pinned, once for equal pins."""

from __future__ import annotations

from typing import Literal, cast

from contracts import PermanentError, RunRow, read
from contracts.definitions import DEFINITIONS, AgentFlow, DefinitionKind, Workflow
from plans.compile import compile_workflow, workflow_of
from plans.plan import CatalogEntry, Plan
from store import Definitions

_PLANS_KEPT = 1_024

_Key = tuple[str, ...]


class PinnedPlans:
    """Compiles what runs pinned and keeps the plans used last."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._plans: dict[_Key, Plan] = {}

    async def of_run(self, run: RunRow) -> Plan:
        """The plan of the run's workflow.

        Raises PermanentError: ``expired`` if something of it has aged out, or what
        compiling finds wrong. Raises StoreUnavailable.
        """
        key = (run.tenant, run.workflow_digest, *run.pins.values())
        plan = self._plans.get(key)
        if plan is None:
            plan = await self._compiled(run)
            if len(self._plans) >= _PLANS_KEPT:
                del self._plans[next(iter(self._plans))]

            self._plans[key] = plan

        return plan

    async def _compiled(self, run: RunRow) -> Plan:
        catalog = {
            name: await self._entry(run.tenant, name, digest)
            for name, digest in run.pins.items()
        }
        flow, name = f"flow:{run.workflow}", f"workflow:{run.workflow}"
        if flow in catalog:
            script = catalog[flow].body
            body = workflow_of(script) if isinstance(script, AgentFlow) else None
            kind: Literal["workflow", "flow"] = "flow"
        else:
            found = catalog[name].body if name in catalog else None
            body, kind = found if isinstance(found, Workflow) else None, "workflow"

        if body is None:
            raise PermanentError(f"The run pins no workflow {run.workflow!r}.")

        _allow_for_failure(body, catalog)
        return compile_workflow(body, run.workflow_digest, catalog, kind=kind)

    async def _entry(self, tenant: str, name: str, digest: str) -> CatalogEntry:
        body = await self._definitions.archived(tenant, digest)
        if body is None:
            raise PermanentError(f"{name} of this run has aged out.", code="expired")

        kind = cast(DefinitionKind, name.partition(":")[0])
        return CatalogEntry(digest, read(DEFINITIONS[kind], body))


def _allow_for_failure(workflow: Workflow, catalog: dict[str, CatalogEntry]) -> None:
    """The workflow that follows a failure is not pinned: it is looked up by then."""
    follows = workflow.on_failure
    if follows is not None and follows.workflow is not None:
        catalog.setdefault(f"workflow:{follows.workflow}", CatalogEntry("", workflow))
