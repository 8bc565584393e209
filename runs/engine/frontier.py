"""Which nodes may begin: pure bookkeeping over the edges of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from plans.fold import Progress
from plans.plan import Plan, PlanNode


class Frontier:
    """Knows of every node how many edges to it are decided and how many are taken.

    ``join: all`` waits until every edge is decided, ``any`` for the first one taken;
    a node that no edge leads to any more is skipped.
    """

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._nodes = plan.nodes
        self._open = {name: len(node.incoming) for name, node in plan.nodes.items()}
        self._taken = dict.fromkeys(plan.nodes, 0)
        self._ready: list[tuple[int, str]] = []
        self._skipped: list[str] = []
        self._known = {n for n, p in progress.nodes.items() if p.status != "pending"}
        self._resume(plan, progress)

    def resolve(self, node_id: str, routes: tuple[str, ...]) -> None:
        """A node has ended and leads to these nodes, and to no others."""
        for edge in self._nodes[node_id].outgoing:
            self._open[edge.target] -= 1
            self._taken[edge.target] += edge.target in routes

        for target in dict.fromkeys(e.target for e in self._nodes[node_id].outgoing):
            self._look_at(self._nodes[target])

    def skipped(self) -> Iterator[str]:
        """The nodes nothing leads to any more, each once."""
        while self._skipped:
            name = self._skipped.pop(0)
            self.resolve(name, ())
            yield name

    def next(self, may: Callable[[PlanNode], bool]) -> PlanNode | None:
        """The first ready node, in topological order, that may begin now."""
        passed: list[tuple[int, str]] = []
        found: PlanNode | None = None
        while self._ready and found is None:
            entry = heappop(self._ready)
            node = self._nodes[entry[1]]
            if may(node):
                found = node
            else:
                passed.append(entry)

        for entry in passed:
            heappush(self._ready, entry)

        return found

    @property
    def any_ready(self) -> bool:
        """Whether some node could begin if it might."""
        return bool(self._ready)

    def _resume(self, plan: Plan, progress: Progress) -> None:
        if plan.start not in self._known:
            self._make_ready(plan.nodes[plan.start])

        for name in plan.nodes:
            known = progress.nodes.get(name)
            if known is not None and known.routes is not None:
                self.resolve(name, known.routes)

    def _look_at(self, node: PlanNode) -> None:
        if node.id in self._known:
            return

        taken, undecided = self._taken[node.id], self._open[node.id]
        early = getattr(node.definition, "join", "all") == "any"
        if taken and (early or not undecided):
            self._make_ready(node)
        elif not undecided:
            self._known.add(node.id)
            self._skipped.append(node.id)

    def _make_ready(self, node: PlanNode) -> None:
        self._known.add(node.id)
        heappush(self._ready, (node.position, node.id))
