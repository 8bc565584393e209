"""What a run may do next: the ready part of its plan's frontier, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush

from plans import Frontier, Plan, PlanNode, Progress


class Agenda:
    """The nodes that may begin and have not, and those to be told as skipped."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._nodes = plan.nodes
        self._frontier = Frontier(plan)
        self._begun = {n for n, p in progress.nodes.items() if p.status != "pending"}
        self._ready: list[tuple[int, str]] = []
        self._skipped: list[str] = []
        self._offer([plan.start])
        for name in plan.nodes:
            node = progress.nodes.get(name)
            if node and node.routes is not None and node.status != "skipped":
                self.resolve(name, node.routes)

    def resolve(self, node_id: str, routes: tuple[str, ...]) -> None:
        """A node has ended and leads to these nodes, and to no others."""
        settled = self._frontier.resettle(node_id, routes)
        self._offer(settled.ready)
        self._skipped += [name for name in settled.skipped if name not in self._begun]

    def skipped(self) -> Iterator[str]:
        """The nodes nothing leads to any more, each once."""
        while self._skipped:
            yield self._skipped.pop(0)

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

    def _offer(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._begun:
                heappush(self._ready, (self._nodes[name].position, name))
