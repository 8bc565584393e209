"""The flow of a contract: its stages in the order of what they depend on; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts import ConfigurationError, JsonObject

_REPLY = "assistantReply"
_ODD = re.compile(r"[^a-z0-9_]")


def flow_of(
    name: str, stages: Sequence[JsonObject], schemas: Mapping[str, JsonObject]
) -> JsonObject:
    """The agent flow of these stages.

    What no other depends on leads to the answer, which is the last one's
    ``assistantReply``. Raises ConfigurationError if that has none by its schema.
    """
    ids = [str(one.get("id")) for one in stages]
    needed = {str(dep) for one in stages for dep in one.get("depends_on") or ()}
    last = [id_ for id_ in ids if id_ not in needed]
    if not last:
        raise ConfigurationError(f"{name}: every stage waits for another one")

    said = _properties(next(s for s in stages if str(s.get("id")) == last[-1]), schemas)
    if _REPLY not in said:
        raise ConfigurationError(
            f"{name}: the contract of the stage {last[-1]!r} has no {_REPLY}, "
            "which is what the person reads"
        )

    node = node_id(last[-1])
    output = {_REPLY: f"${{{node}.{_REPLY}}}"}
    if "cachedState" in said:
        output["cachedState"] = f"${{{node}.cachedState}}"

    edges = [edge for one in stages for edge in _edges(one)]
    edges += [{"from": node_id(id_), "to": "answer"} for id_ in last]
    return {
        "name": name,
        "kind": "agent_flow",
        "nodes": [
            {"id": "start", "type": "start"},
            *(_node(name, one) for one in stages),
            {"id": "answer", "type": "answer", "output": output},
        ],
        "edges": edges,
    }


def node_id(stage_id: str) -> str:
    """A stage's id as expressions can use it."""
    plain = _ODD.sub("_", stage_id.lower())
    return plain if plain[:1].isalpha() else f"s_{plain}"


def _node(contract: str, stage: JsonObject) -> JsonObject:
    id_ = str(stage.get("id"))
    given: dict[str, Any] = {
        "message": "${start.message}",
        "history": "${start.?history.orValue([])}",
        "cached_state": "${start.?cached_state.orValue({})}",
    }
    for other in stage.get("depends_on") or ():
        given[node_id(str(other))] = f"${{{node_id(str(other))}}}"

    return {
        "id": node_id(id_),
        "type": "stage",
        "stage": f"{contract}.{id_}",
        "input": given,
    }


def _edges(stage: JsonObject) -> list[JsonObject]:
    target = node_id(str(stage.get("id")))
    sources = [node_id(str(one)) for one in stage.get("depends_on") or ()]
    return [{"from": source, "to": target} for source in sources or ["start"]]


def _properties(
    stage: JsonObject, schemas: Mapping[str, JsonObject]
) -> Mapping[str, Any]:
    schema = stage.get("contract") or schemas.get(str(stage.get("id"))) or {}
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}
