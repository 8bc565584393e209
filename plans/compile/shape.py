"""The shape of a graph: everything that is wrong with its ids and its links.

Nothing here recurses, and a graph beyond the limits is looked at no further.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts import LIMITS, Problem
from plans.compile.kinds import KINDS
from plans.compile.order import cycle, reachable, reversed_graph
from plans.compile.skeleton import End, Link, Skeleton, Spot
from plans.expressions import CEL_WORDS

START = "workflow_start"

RESERVED_IDS = CEL_WORDS | {"run", "item"}
"""What no node may be called; ``start`` is the start node's alone besides."""

_ENDS = frozenset({"workflow_end", "fail"})
_SHOWN_OF_A_CYCLE = 10


@dataclass(slots=True)
class Shape:
    """A graph by its ids: the distinct successors, and what is wrong."""

    skeleton: Skeleton
    graph: dict[str, list[str]] = field(default_factory=dict)
    links_from: dict[str, list[Link]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_too_large: bool = False
    """Whether nothing was looked at but the size."""

    @property
    def starts(self) -> list[Spot]:
        """The start nodes; one, if all is well."""
        return [spot for spot in self.skeleton.nodes if spot.type == START]

    def tell(self, pointer: str, code: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(pointer=pointer, code=code, message=message))


def shape_of(skeleton: Skeleton) -> Shape:
    """The graph and all its problems; only what is certain if it is not whole."""
    shape = Shape(skeleton)
    _check_size(shape)
    if shape.is_too_large:
        return shape

    shape.graph = _graph(skeleton)
    for link in skeleton.links:
        shape.links_from.setdefault(link.source, []).append(link)

    _check_ids(shape)
    _check_entries(shape)
    _check_links(shape)
    _check_cycles(shape)
    if skeleton.is_whole:
        _check_choices(shape)
        _check_ways(shape)

    return shape


def _graph(skeleton: Skeleton, only: End | None = None) -> dict[str, list[str]]:
    """The distinct successors of each node, perhaps at one end only."""
    graph: dict[str, dict[str, None]] = {spot.id: {} for spot in skeleton.nodes}
    for link in skeleton.links:
        known = link.source in graph and link.target in graph
        if known and only in (None, link.end):
            graph[link.source][link.target] = None

    return {node: list(successors) for node, successors in graph.items()}


def _check_size(shape: Shape) -> None:
    skeleton = shape.skeleton
    for counted, limit, what, pointer in (
        (skeleton.node_count, LIMITS["graph_nodes"], "nodes", "/nodes"),
        (skeleton.link_count, LIMITS["graph_edges"], "edges", "/edges"),
    ):
        if counted > limit:
            message = f"The graph has {counted} {what}; the limit is {limit}."
            shape.tell(pointer, "graph_too_large", message)
            shape.is_too_large = True


def _check_ids(shape: Shape) -> None:
    seen: dict[str, str] = {}
    for spot in shape.skeleton.nodes:
        at = f"{spot.pointer}/id"
        if spot.id in seen:
            message = f"{_named(spot.id)} is the id of {seen[spot.id]} too."
            shape.tell(at, "duplicate_node", message)

        seen.setdefault(spot.id, spot.pointer)
        if spot.id in RESERVED_IDS or (spot.id == "start" and spot.type != START):
            message = f"{_named(spot.id)} has a meaning of its own in expressions."
            shape.tell(at, "reserved_node_id", message)


def _check_entries(shape: Shape) -> None:
    starts = shape.starts
    for spot in starts[1:]:
        message = f"{_named(spot.id)} is another start node beside {starts[0].id}."
        shape.tell(spot.pointer, "graph_many_entries", message)

    if not shape.skeleton.is_whole:
        return

    if not starts:
        message = f"The graph has no node of type {START}."
        shape.tell("/nodes", "graph_no_entry", message)

    if not any(spot.type in _ENDS for spot in shape.skeleton.nodes):
        message = "The graph has no node of type workflow_end."
        shape.tell("/nodes", "graph_no_end", message)


def _check_links(shape: Shape) -> None:
    spots = {spot.id: spot for spot in shape.skeleton.nodes}
    seen: set[tuple[str, str, str, str | None]] = set()
    for link in shape.skeleton.links:
        unknown = [name for name in (link.source, link.target) if name not in spots]
        if not unknown:
            _check_link(shape, link, spots)
            _check_once(shape, link, seen)
        elif shape.skeleton.is_whole:
            message = f"There is no node {_named(unknown[0])}."
            shape.tell(link.pointer, "graph_unknown_node", message)


def _check_once(
    shape: Shape, link: Link, seen: set[tuple[str, str, str, str | None]]
) -> None:
    said = (link.source, link.target, link.end, link.when)
    if said in seen and not link.is_case:
        message = f"The edge from {link.source} to {link.target} stands here again."
        shape.tell(link.pointer, "graph_invalid_edge", message)

    seen.add(said)


def _check_link(shape: Shape, link: Link, spots: dict[str, Spot]) -> None:
    source, target = spots[link.source], spots[link.target]
    reason = _why_not_out(link, source) or _why_not_in(target)
    if reason:
        shape.tell(link.pointer, "graph_invalid_edge", reason)


def _why_not_out(link: Link, source: Spot) -> str:
    kind = KINDS.get(source.type)
    if source.type in _ENDS:
        return f"Nothing follows {source.id}: it ends the run."

    if source.type == "branch" and not link.is_case:
        return f"{source.id} leads where its cases and its default say, not by edges."

    if source.type == "classify" and not link.is_case and link.end == "done":
        return f"{source.id} leads where its routes and its default say, not by edges."

    if link.end == "error" and kind is not None and not kind.may_fail:
        return f"{source.id} is a {source.type} and cannot fail."

    if link.end == "refused" and source.type != "approval":
        return f"{source.id} is no approval and cannot be refused."

    return ""


def _why_not_in(target: Spot) -> str:
    return "Nothing leads back to the start node." if target.type == START else ""


def _check_cycles(shape: Shape) -> None:
    path = cycle(shape.graph)
    if not path:
        return

    shown = path if len(path) <= _SHOWN_OF_A_CYCLE else [*path[:9], "…", path[-1]]
    pointer = next(
        link.pointer
        for link in shape.skeleton.links
        if (link.source, link.target) == (path[-2], path[-1])
    )
    message = f"The graph has a cycle: {' → '.join(shown)}."
    shape.tell(pointer, "graph_cycle", message)


def _check_choices(shape: Shape) -> None:
    """Fan-out, and that every choice has a way out."""
    for spot in shape.skeleton.nodes:
        limit = LIMITS["graph_fan_out"]
        if len(shape.graph[spot.id]) > limit:
            message = f"{_named(spot.id)} leads to more than {limit} nodes."
            shape.tell(spot.pointer, "graph_too_large", message)

    for spot in shape.skeleton.nodes:
        for end in sorted(_undecided(shape, spot)):
            message = (
                f"If no condition at {_named(spot.id)} ({end}) holds, nothing does."
            )
            shape.tell(spot.pointer, "graph_missing_default", message)


def _undecided(shape: Shape, spot: Spot) -> set[End]:
    """The ends of a node that lead nowhere if no condition holds."""
    links = shape.links_from.get(spot.id, [])
    asking: set[End] = {link.end for link in links if link.when is not None}
    if spot.type == "branch":
        asking.add("done")

    return asking - {link.end for link in links if link.when is None}


def _check_ways(shape: Shape) -> None:
    """That every node can be reached, and reaches an end."""
    starts = [spot.id for spot in shape.starts]
    ends = [spot.id for spot in shape.skeleton.nodes if spot.type in _ENDS]
    if not starts or not ends:
        return

    reached = reachable(shape.graph, starts)
    ending = reachable(reversed_graph(_graph(shape.skeleton, only="done")), ends)
    for spot in shape.skeleton.nodes:
        if spot.id not in reached:
            message = f"No way leads from the start to {_named(spot.id)}."
            shape.tell(spot.pointer, "graph_unreachable", message)
        elif spot.id not in ending:
            message = f"No way leads from {_named(spot.id)} to an end."
            shape.tell(spot.pointer, "graph_unreachable", message)


def _named(node_id: str) -> str:
    return repr(node_id[:64])
