"""Orders over a directed graph, without recursion: what comes before what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

Graph = Mapping[str, Sequence[str]]
"""The distinct successors of every node; every successor is a node."""


def reachable(graph: Graph, starts: Iterable[str]) -> set[str]:
    """The nodes that some way leads to, the starts included."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        fresh = set(graph[waiting.pop()]) - found
        found |= fresh
        waiting.extend(fresh)

    return found


def reversed_graph(graph: Graph) -> dict[str, list[str]]:
    """The same nodes with every way turned round."""
    turned: dict[str, list[str]] = {node: [] for node in graph}
    for node, successors in graph.items():
        for successor in successors:
            turned[successor].append(node)

    return turned


def topological(graph: Graph) -> list[str]:
    """All nodes, each after those before it, else in the graph's own order.

    Nodes of a cycle, and what lies behind one, are left out.
    """
    position = {node: n for n, node in enumerate(graph)}
    names = list(graph)
    missing = {node: len(before) for node, before in reversed_graph(graph).items()}
    ready = [position[node] for node, count in missing.items() if not count]
    heapify(ready)
    ordered: list[str] = []
    while ready:
        node = names[heappop(ready)]
        ordered.append(node)
        for successor in graph[node]:
            missing[successor] -= 1
            if not missing[successor]:
                heappush(ready, position[successor])

    return ordered


def ancestors(graph: Graph, ordered: Sequence[str]) -> dict[str, set[str]]:
    """Of every node of an acyclic graph, all the nodes that may come before it."""
    found: dict[str, set[str]] = {node: set() for node in graph}
    for node in ordered:
        for successor in graph[node]:
            found[successor] |= found[node] | {node}

    return found


def cycle(graph: Graph) -> list[str]:
    """One cycle, its first node again at its end; empty if there is none.

    A shortest one through the first node, in the graph's order, that lies on any.
    """
    acyclic = set(topological(graph))
    for node in graph:
        if node in acyclic:
            continue

        path = _way(graph, node, node)
        if path:
            return path

    return []


def _way(graph: Graph, start: str, goal: str) -> list[str]:
    """A shortest way of at least one step, both ends included."""
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting and goal not in came_from:
        behind: list[str] = []
        for node in waiting:
            fresh = [after for after in graph[node] if after not in came_from]
            came_from.update(dict.fromkeys(fresh, node))
            behind.extend(fresh)

        waiting = behind

    return _traced(came_from, start, goal) if goal in came_from else []


def _traced(came_from: Mapping[str, str], start: str, goal: str) -> list[str]:
    path = [goal, came_from[goal]]
    while path[-1] != start:
        path.append(came_from[path[-1]])

    return path[::-1]
