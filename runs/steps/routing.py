"""Which nodes a node leads to, once it ended one way or another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plans.plan import EdgeEnd, PlanEdge, PlanNode

Values = Mapping[str, Any]
"""What expressions see: ``start``, ``run`` and the output of every node by its id."""


def edges_at(node: PlanNode, end: EdgeEnd) -> tuple[PlanEdge, ...]:
    """The edges that leave this end of a node."""
    return tuple(edge for edge in node.outgoing if edge.end == end)


def routes(node: PlanNode, end: EdgeEnd, values: Values) -> tuple[str, ...]:
    """The targets of the edges taken, in order.

    A branch takes the first case that holds. Any other node takes all that hold and
    all without a condition; ``otherwise`` edges only if no condition held.
    Raises SluicegateError if an expression fails.
    """
    edges = edges_at(node, end)
    if node.type == "branch" and end == "done":
        return _first(edges, values)

    held = {
        edge.target
        for edge in edges
        if edge.when is not None and edge.when.holds(values)
    }
    return _distinct(
        edge.target
        for edge in edges
        if edge.target in held or _unasked(edge, otherwise=not held)
    )


def _unasked(edge: PlanEdge, *, otherwise: bool) -> bool:
    """Whether an edge without a condition is taken."""
    return edge.when is None and (otherwise or not edge.otherwise)


def _first(edges: Iterable[PlanEdge], values: Values) -> tuple[str, ...]:
    for edge in edges:
        if edge.when is not None and edge.when.holds(values):
            return (edge.target,)

    return _distinct(edge.target for edge in edges if edge.otherwise)


def _distinct(targets: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(targets))
