"""The plans of runs: compiled from what a run pinned, kept by what it pinned."""

from __future__ import annotations

from collections import OrderedDict

from contracts import PermanentError, RunRow, read
from contracts.definitions import DEFINITIONS, Workflow
from plans import CatalogEntry, Plan, compile_workflow
from store import Definitions

_MOST_PLANS = 1_000


class PlanBook:
    """Plans by their pins; see the engine's Plans port."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._plans: OrderedDict[tuple[str, str, tuple[tuple[str, str], ...]], Plan]
        self._plans = OrderedDict()

    async def of_run(self, run: RunRow) -> Plan:
        """The plan of the run's pinned workflow.

        Raises PermanentError ``missing_references`` if a pinned version is gone.
        """
        key = (run.tenant, run.workflow_digest, tuple(sorted(run.pins.items())))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = await self._compiled(run)
            if len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)

        return plan

    async def _compiled(self, run: RunRow) -> Plan:
        catalog = {
            name: await self._entry(run.tenant, name, digest)
            for name, digest in run.pins.items()
        }
        workflow = catalog[f"workflow:{run.workflow}"].body
        if not isinstance(workflow, Workflow):
            raise PermanentError(f"{run.workflow} is no workflow.", code="invalid")

        return compile_workflow(workflow, run.workflow_digest, catalog)

    async def _entry(self, tenant: str, name: str, digest: str) -> CatalogEntry:
        body = await self._definitions.archived(tenant, digest)
        if body is None:
            raise PermanentError(
                f"{name} is pinned as {digest[:19]}…, which is not in the archive.",
                code="missing_references",
                details={"missing": [name]},
            )

        kind = name.partition(":")[0]
        models = {str(known): model for known, model in DEFINITIONS.items()}
        return CatalogEntry(digest, read(models[kind], body))
