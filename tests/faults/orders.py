"""What a campaign asks for: runs of three workflows, and workflows to be saved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from contracts import JsonObject

UNREPEATABLE = frozenset({"charge"})
"""The steps whose calls may be made at most once."""

_STEPS = {
    "pay": {"reserve", "charge"},
    "gather": {"left", "right"},
    "count": set(),
    "linger": {"dwell", "charge"},
    "take": {"charge"},
}
_SHARES = {"pay": 6, "gather": 2, "count": 2}


class Order(NamedTuple):
    """One request, under a token that it carries everywhere.

    It starts a run of a workflow or, if it names none, saves one named by the token.
    """

    token: str
    workflow: str | None
    amount: int = 0

    @property
    def path(self) -> str:
        """Where it is posted."""
        return "/runs" if self.workflow else "/workflows"

    @property
    def body(self) -> JsonObject:
        """What is posted."""
        if self.workflow is None:
            return _workflow(
                self.token, _sum("total", "1"), edges="start total, total end"
            )

        given = {"token": self.token, "amount": self.amount}
        return {"workflow": self.workflow, "input": given}

    @property
    def steps(self) -> set[str]:
        """The steps that call the sink in a run that completes."""
        return _STEPS[self.workflow or "count"]

    @property
    def output(self) -> JsonObject:
        """What a run that completes returns."""
        return {"token": self.token, "total": self.amount * 2 + 1}


def orders(runs: int, seed: int) -> list[Order]:
    """So many runs, and a tenth as many saves among them; the same for a seed."""
    dice = random.Random(f"orders {seed}")
    names, weights = list(_SHARES), list(_SHARES.values())
    asked = [
        Order(f"{seed}-{n}", dice.choices(names, weights)[0], dice.randrange(1_000))
        for n in range(runs)
    ]
    asked += [Order(f"{seed}-saved-{n}", None) for n in range(runs // 10)]
    dice.shuffle(asked)
    return asked


def tools(sink: str) -> Iterator[JsonObject]:
    """The tools of the workflows, which call the sink at this address."""
    for step in sorted(set().union(*_STEPS.values())):
        once = step in UNREPEATABLE
        way = "slower" if step == "dwell" else "steady" if once else "unsteady"
        yield {
            "name": step,
            "kind": "http",
            "effect": "non_idempotent" if once else "idempotent",
            "retry": {"max_attempts": 1 if once else 10, "backoff_s": 0.05},
            "timeout_s": 10,
            "http": _call(f"{sink}/{way}", step, once=once),
        }


def workflows() -> Iterator[JsonObject]:
    """``pay``: idempotent, pure, not idempotent; and others.

    ``linger`` is a slow ``pay``; ``take`` makes only the call that must not be
    repeated; ``gather`` goes out and in; ``count`` calls nothing.
    """
    yield _workflow(
        "pay",
        _tool("reserve"),
        _sum("total", "start.amount * 2 + 1"),
        _tool("charge"),
        edges="start reserve, reserve total, total charge, charge end",
    )
    yield _workflow(
        "gather",
        _tool("left"),
        _tool("right"),
        _sum("twice", "start.amount * 2"),
        _sum("total", "twice.value + 1"),
        edges="start left, start right, start twice, left total, right total, "
        "twice total, total end",
    )
    yield _workflow(
        "linger",
        _tool("dwell"),
        _sum("total", "start.amount * 2 + 1"),
        _tool("charge"),
        edges="start dwell, dwell total, total charge, charge end",
    )
    yield _workflow(
        "take",
        _sum("total", "start.amount * 2 + 1"),
        _tool("charge"),
        edges="start total, total charge, charge end",
    )
    yield _workflow(
        "count",
        _sum("twice", "start.amount * 2"),
        _sum("total", "twice.value + 1"),
        edges="start twice, twice total, total end",
    )


def _call(url: str, step: str, *, once: bool) -> JsonObject:
    body = {"step": step, "token": "${input.token}"}
    call: JsonObject = {"method": "POST", "url": url, "body": body}
    return call if once else call | {"idempotency_header": "Idempotency-Key"}


def _tool(name: str) -> JsonObject:
    given = {"token": "${start.token}"}
    return {"id": name, "type": "tool", "tool": name, "input": given}


def _sum(name: str, expression: str) -> JsonObject:
    output = {"value": f"${{{expression}}}"}
    return {"id": name, "type": "transform", "output": output}


def _workflow(name: str, *nodes: JsonObject, edges: str) -> JsonObject:
    output = {"token": "${start.token}", "total": "${total.value}"}
    pairs = [edge.split() for edge in edges.split(",")]
    return {
        "name": name,
        "kind": "workflow",
        "nodes": [
            {"id": "start", "type": "workflow_start", "input_schema": _SCHEMA},
            *nodes,
            {"id": "end", "type": "workflow_end", "output": output},
        ],
        "edges": [{"from": source, "to": target} for source, target in pairs],
    }


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"token": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["token", "amount"],
}
