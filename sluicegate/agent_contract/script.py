"""The flow of a contract: its stages in the order of what they depend on; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts import ConfigurationError, JsonObject
from plans import RESERVED_IDS
from sluicegate.agent_contract.forms import StageForm

_REPLY = "assistantReply"
_ODD = re.compile(r"[^a-z0-9_]")


def stage_name(contract: str, stage_id: str) -> str:
    """What a stage of a contract is called among all stages."""
    return f"{contract}.{stage_id}"


def flow_of(
    name: str, stages: Sequence[StageForm], schemas: Mapping[str, JsonObject]
) -> JsonObject:
    """The agent flow of these stages.

    What no other depends on leads to the answer, which is the last one's
    ``assistantReply``. Raises ConfigurationError if that has none by its schema.
    """
    needed = {dep for one in stages for dep in one.depends_on}
    last = [one for one in stages if one.id not in needed]
    if not last:
        raise ConfigurationError(f"{name}: every stage waits for another one")

    said = _properties(last[-1], schemas)
    if _REPLY not in said:
        raise ConfigurationError(
            f"{name}: the contract of the stage {last[-1].id!r} has no {_REPLY}, "
            "which is what the person reads"
        )

    node = node_id(last[-1].id)
    output = {_REPLY: f"${{{node}.{_REPLY}}}"}
    if "cachedState" in said:
        output["cachedState"] = f"${{{node}.cachedState}}"

    edges = [edge for one in stages for edge in _edges(one)]
    edges += [{"from": node_id(one.id), "to": "answer"} for one in last]
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
    """A stage's id as expressions can use it, and as nothing else is called."""
    plain = _ODD.sub("_", stage_id.lower())
    taken = plain in RESERVED_IDS or plain in ("start", "answer")
    return f"s_{plain}" if taken or not plain[:1].isalpha() else plain


def _node(contract: str, stage: StageForm) -> JsonObject:
    given: dict[str, Any] = {
        "message": "${start.message}",
        "history": "${start.?history.orValue([])}",
        "cached_state": "${start.?cached_state.orValue({})}",
    }
    for other in stage.depends_on:
        given[node_id(other)] = f"${{{node_id(other)}}}"

    return {
        "id": node_id(stage.id),
        "type": "stage",
        "stage": stage_name(contract, stage.id),
        "input": given,
    }


def _edges(stage: StageForm) -> list[JsonObject]:
    target = node_id(stage.id)
    sources = [node_id(one) for one in stage.depends_on]
    return [{"from": source, "to": target} for source in sources or ["start"]]


def _properties(
    stage: StageForm, schemas: Mapping[str, JsonObject]
) -> Mapping[str, Any]:
    schema = stage.contract or schemas.get(stage.id) or {}
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}
