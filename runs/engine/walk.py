"""Where a claimed run is on its way through its plan, and what it wants next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from contracts import Approved, RunRow, Timestamp
from plans.fold import Progress
from plans.plan import Plan, PlanNode
from plans.progress import NodeProgress, Signal
from runs.engine.agenda import Agenda
from runs.engine.log import RunLog

ASKED_AGAIN_AFTER_S = 30.0
"""How long after an approval's end the gate is asked what became of it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps a node from its call, and until when if that is known."""

    kind: str
    until: Timestamp | None = None


class Walk:
    """The state of a run beside its log; everything here follows from the log.

    Nothing here waits or acts: calls, proposals and timers are only listed, and the
    driver does them.
    """

    def __init__(self, plan: Plan, log: RunLog, node_parallel: int) -> None:
        self.plan = plan
        self.log = log
        self.values = values_of(log.row, plan, log.progress)
        self.agenda = Agenda(plan, log.progress)
        self.active = {n for n, p in log.progress.nodes.items() if _is_active(p)}
        """Nodes that began and have not ended."""

        self.calls: deque[str] = deque()
        """Nodes that want their call made now."""

        self.asks: list[str] = []
        """Nodes whose decision is to be proposed once the log has it."""

        self.timers: dict[str, Timestamp] = {}
        """When to look at a node again."""

        self.verdicts: dict[str, Approved] = {}
        """The verdicts under which listed calls are made."""

        self.holds: dict[str, Hold] = {}
        self.early: list[Signal] = []
        """Signals nobody waited for yet, still in the inbox."""

        self.in_flight: set[str] = set()
        self.output_bytes = _bytes_of(log.progress)
        """The outputs of all nodes, as JSON: the run's state travels in one piece."""

        self._parallel = node_parallel

    @property
    def row(self) -> RunRow:
        """The run's row."""
        return self.log.row

    @property
    def progress(self) -> Progress:
        """The run's progress, with everything said so far."""
        return self.log.progress

    @property
    def stopping(self) -> bool:
        """Whether nothing more may begin."""
        progress = self.progress
        return progress.cancel is not None or progress.failed_node is not None

    @property
    def room(self) -> bool:
        """Whether another call may be made at the same time."""
        return len(self.in_flight) < self._parallel

    def node(self, node_id: str) -> tuple[PlanNode, NodeProgress]:
        """The plan's node and how far it is."""
        return self.plan.nodes[node_id], self.progress.node(node_id)

    def in_order(self, names: set[str]) -> list[PlanNode]:
        """These nodes in topological order."""
        nodes = (self.plan.nodes[name] for name in names)
        return sorted(nodes, key=lambda node: node.position)

    def may_begin(self, node: PlanNode) -> bool:
        """Whether a ready node may begin now; a serial run has one at a time."""
        if self.plan.workflow.serial:
            return not self.active

        waiting = len(self.in_flight) + len(self.calls)
        calls_nobody = node.tool is None and node.prompt is None
        return calls_nobody or waiting < self._parallel

    def needs_decision(self, node: PlanNode) -> bool:
        """Whether the node's next call is judged by itself, with its real arguments."""
        known = self.progress.node(node.id)
        if node.prompt is not None:
            return known.wish is not None and not known.approved

        by_the_run = self.row.call_was_judged and known.tried_from == 1
        return node.needs_own_decision and not (by_the_run or known.approved)

    def unanswered(self) -> list[str]:
        """Nodes whose decision was proposed, and of which the gate said nothing."""
        return [name for name in self.active if self._is_unanswered(name)]

    def forget(self, node_id: str) -> None:
        """The node has ended: nothing of it is pending any more."""
        self.active.discard(node_id)
        self.timers.pop(node_id, None)
        self.holds.pop(node_id, None)
        self.verdicts.pop(node_id, None)

    def _is_unanswered(self, name: str) -> bool:
        node = self.progress.nodes[name]
        asks = node.decision_id is not None and not node.approved
        open_ = node.status == "waiting" and asks
        said = node.approval_id is not None or name in self.verdicts
        return open_ and not said and name not in self.holds


def _bytes_of(progress: Progress) -> int:
    outputs = (node.output for node in progress.nodes.values() if node.routes)
    return sum(len(to_json(output)) for output in outputs)


def values_of(row: RunRow, plan: Plan, progress: Progress) -> dict[str, Any]:
    """What expressions see: null for every node that has no output yet."""
    values: dict[str, Any] = dict.fromkeys(plan.nodes)
    for name, node in progress.nodes.items():
        if node.routes is not None and node.error is not None:
            values[name] = {"error": node.error.plain()}
        elif node.routes is not None:
            values[name] = node.output

    values["start"] = row.input
    values["run"] = {
        "id": row.id,
        "tenant": row.tenant,
        "workflow": row.workflow,
        "version": row.workflow_version,
        "created_at": row.created_at,
    }
    return values


def _is_active(node: NodeProgress) -> bool:
    return node.status not in ("pending", "skipped") and node.routes is None
