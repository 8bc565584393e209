"""The workflows that are measured: three pure nodes, three effectful nodes."""

from __future__ import annotations

from contracts import JsonObject

PURE: JsonObject = {
    "name": "bench-pure",
    "kind": "workflow",
    "nodes": [
        {"id": "start", "type": "workflow_start"},
        {"id": "one", "type": "transform", "output": {"n": "${size(start.name)}"}},
        {"id": "two", "type": "transform", "output": {"n": "${one.n + 1}"}},
        {"id": "three", "type": "transform", "output": {"n": "${two.n * 2}"}},
        {"id": "end", "type": "workflow_end", "output": {"n": "${three.n}"}},
    ],
    "edges": [
        {"from": "start", "to": "one"},
        {"from": "one", "to": "two"},
        {"from": "two", "to": "three"},
        {"from": "three", "to": "end"},
    ],
}
"""Computes three times."""

_CALL = {"type": "tool", "tool": "bench-echo", "input": {"n": "${start.n}"}}

EFFECTFUL: JsonObject = {
    "name": "bench-effectful",
    "kind": "workflow",
    "nodes": [
        {"id": "start", "type": "workflow_start"},
        {"id": "one", **_CALL},
        {"id": "two", **_CALL},
        {"id": "three", **_CALL},
        {"id": "end", "type": "workflow_end", "output": {"n": "${three.n}"}},
    ],
    "edges": PURE["edges"],
}
"""Calls an idempotent tool three times, one after the other."""

ECHO: JsonObject = {
    "name": "bench-echo",
    "kind": "builtin",
    "function": "echo",
    "effect": "idempotent",
    "risk": "low",
}
