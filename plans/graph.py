"""The frontier of a run: which nodes may begin, as others end.

Pure bookkeeping over the edges of a plan. Each edge is decided once, when its source
ends; a node begins once its join is satisfied, and is skipped once no edge leads to it
any more. What was decided is told as routes, from which the same frontier is made
again without evaluating anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts import PermanentError
from plans.plan import EdgeEnd, Plan, PlanEdge, PlanNode

Values = Mapping[str, Any]
"""What expressions see: ``start``, ``run``, and of every node its output by its id."""

Routes = tuple[str, ...]
"""The nodes that a node which ended leads to."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What follows from the end of a node."""

    ready: tuple[str, ...]
    """Nodes that may begin now, in the order of the plan."""

    skipped: tuple[str, ...]
    """Nodes that nothing leads to any more, in the order they came to be so."""

    routes: Routes
    """Where the node led."""


class Frontier:
    """Which nodes of one run are undecided, ready, settled or skipped.

    ``join: all`` waits until every edge is decided, ``any`` begins at the first one
    taken. Every node becomes ready or skipped exactly once; all calls together cost
    no more than the edges of the plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._nodes = plan.nodes
        self._undecided = {n: len(node.incoming) for n, node in plan.nodes.items()}
        self._taken = dict.fromkeys(plan.nodes, 0)
        self._open = {plan.start}
        self._decided = {plan.start}

    @property
    def open(self) -> frozenset[str]:
        """The nodes that are ready or running: begun or about to, and not settled."""
        return frozenset(self._open)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to run."""
        return not self._open

    def settle(self, node_id: str, end: EdgeEnd, values: Values) -> Settled:
        """The node ended so; its conditions are evaluated over these values.

        Raises InvalidInput if a condition fails, and PermanentError if the node is
        not open; nothing has changed then.
        """
        self._check_open(node_id)
        return self.resettle(node_id, routes(self._nodes[node_id], end, values))

    def resettle(self, node_id: str, routes_: Iterable[str]) -> Settled:
        """The node ended and led to these nodes, as ``routes`` told before.

        Raises PermanentError if the node is not open; nothing has changed then.
        """
        self._check_open(node_id)
        self._open.discard(node_id)
        led_to = tuple(routes_)
        ready, skipped = self._decide(node_id, led_to)
        self._open.update(ready)
        in_order = sorted(ready, key=lambda name: self._nodes[name].position)
        return Settled(tuple(in_order), tuple(skipped), led_to)

    def _check_open(self, node_id: str) -> None:
        if node_id not in self._open:
            raise PermanentError(f"The node {node_id!r} has not begun, or has ended.")

    def _decide(self, node_id: str, led_to: Routes) -> tuple[list[str], list[str]]:
        """Decide the node's edges, and those of all nodes skipped because of it."""
        ready: list[str] = []
        skipped: list[str] = []
        ended: list[tuple[str, Routes]] = [(node_id, led_to)]
        for source, taken in ended:
            for target in self._count(self._nodes[source], taken):
                if self._begins(target):
                    self._decided.add(target)
                    ready.append(target)
                elif not self._undecided[target] and target not in self._decided:
                    self._decided.add(target)
                    skipped.append(target)
                    ended.append((target, ()))

        return ready, skipped

    def _count(self, node: PlanNode, taken: Routes) -> Routes:
        """Note which of the node's edges are taken; the targets, each once."""
        for edge in node.outgoing:
            self._undecided[edge.target] -= 1
            self._taken[edge.target] += edge.target in taken

        return _distinct(edge.target for edge in node.outgoing)

    def _begins(self, target: str) -> bool:
        if target in self._decided or not self._taken[target]:
            return False

        early = self._nodes[target].definition.join == "any"
        return early or not self._undecided[target]


def routes(node: PlanNode, end: EdgeEnd, values: Values) -> Routes:
    """Where a node leads that ended so, each target once, in the order of its edges.

    A branch takes the first case that holds, else its default. Any other node takes
    every edge whose condition holds and every one without; an ``otherwise`` edge only
    if no condition held. Raises InvalidInput if a condition fails.
    """
    edges = node.leaving(end)
    if node.type == "branch":
        return _first(edges, values)

    held = [e for e in edges if e.when is not None and e.when.holds(values)]
    plain = [e for e in edges if e.when is None and not (e.otherwise and held)]
    taken = {edge.target for edge in (*held, *plain)}
    return _distinct(edge.target for edge in edges if edge.target in taken)


def _first(cases: Iterable[PlanEdge], values: Values) -> Routes:
    """The target of the first case that holds; the default is the last of them."""
    for case in cases:
        if case.when is None or case.when.holds(values):
            return (case.target,)

    return ()


def _distinct(targets: Iterable[str]) -> Routes:
    return tuple(dict.fromkeys(targets))
