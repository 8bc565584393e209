"""The skeleton of a workflow: ids, types and links, whatever else it says.

It is taken from plain JSON, so that the graph of a workflow that cannot be read as a
whole can be judged together with the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from contracts import JsonObject

End = Literal["done", "error", "refused"]
"""Which end of a node a link leaves."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A node: its id, its type, and where it stands."""

    id: str
    type: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one node to the next, and where it is said.

    ``is_case`` links are a branch's own; the others are edges.
    """

    source: str
    target: str
    pointer: str
    end: End = "done"
    when: str | None = None
    otherwise: bool = False
    is_case: bool = False

    @property
    def when_pointer(self) -> str:
        """Where the condition is said."""
        return f"{self.pointer.removesuffix('/to')}/when"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What is known of the graph; ``is_whole`` if nothing of it could not be read."""

    nodes: tuple[Spot, ...]
    links: tuple[Link, ...]
    is_whole: bool
    node_count: int
    link_count: int


def skeleton_of(body: JsonObject) -> Skeleton:
    """The skeleton of a workflow's plain JSON; what is malformed is left out."""
    nodes, edges = _items(body.get("nodes")), _items(body.get("edges"))
    spots = [_spot(node, f"/nodes/{n}") for n, node in enumerate(nodes)]
    links = [_link(edge, f"/edges/{n}") for n, edge in enumerate(edges)]
    cases = [link for n, node in enumerate(nodes) for link in _cases(node, n)]
    return Skeleton(
        nodes=tuple(spot for spot in spots if spot is not None),
        links=tuple(link for link in (*links, *cases) if link is not None),
        is_whole=None not in spots and None not in links and None not in cases,
        node_count=len(nodes),
        link_count=len(links) + len(cases),
    )


_WAYS = {"branch": "cases", "classify": "routes"}
"""Where nodes say themselves where they lead."""


def _items(value: JsonValue) -> list[Any]:
    return value if isinstance(value, list) else []


def _spot(node: Any, pointer: str) -> Spot | None:
    if not isinstance(node, dict) or not _are_texts(node.get("id"), node.get("type")):
        return None

    return Spot(node["id"], node["type"], pointer)


def _link(edge: Any, pointer: str) -> Link | None:
    if not isinstance(edge, dict) or not _are_texts(edge.get("from"), edge.get("to")):
        return None

    end = edge.get("on", "done")
    when = edge.get("when")
    if end not in ("done", "error", "refused") or not isinstance(when, str | None):
        return None

    otherwise = edge.get("otherwise") is True
    return Link(edge["from"], edge["to"], pointer, end, when, otherwise)


def _cases(node: Any, position: int) -> Iterator[Link | None]:
    """The links a branch, or a choice of a model, makes itself, the default last."""
    ways = _WAYS.get(node.get("type", "")) if isinstance(node, dict) else None
    if ways is None:
        return

    at, source = f"/nodes/{position}", node.get("id")
    for n, case in enumerate(_items(node.get(ways))):
        said = case if isinstance(case, dict) else {}
        pointer = f"{at}/{ways}/{n}/to"
        yield _case(source, said.get("to"), pointer, said.get("when"))

    default = node.get("default")
    if default is not None:
        yield _case(source, default, f"{at}/default", None)


def _case(source: Any, target: Any, pointer: str, when: Any) -> Link | None:
    if not _are_texts(source, target) or not isinstance(when, str | None):
        return None

    return Link(
        source, target, pointer, when=when, otherwise=when is None, is_case=True
    )


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
