"""Judgements per second with 1, 100 and 1,000 rules."""

from __future__ import annotations

import time
from statistics import median, quantiles

from agents.coordinator.policy import compile_policy, judge
from bench.report import report
from contracts import JsonObject, Policy, Rule

_TIMES = 3_000
_FACTS: JsonObject = {
    "plan": {"risk": "low", "in_run": False, "published": False, "nodes": 5},
    "usage": {},
    "history": [],
    "time": {"hour": 10, "weekday": 2},
    "freeze": [],
    "grants": [],
    "allowances": [],
    "questions": [],
}


async def measure() -> None:
    """Print how long a judgement takes."""
    for count in (1, 100, 1_000):
        _measure(count)


def _measure(count: int) -> None:
    policy = compile_policy(Policy(rules=tuple(map(_rule, range(count)))))
    times = []
    for _ in range(_TIMES if count < 1_000 else _TIMES // 10):
        decision = _decision()
        began = time.perf_counter()
        judge(decision, _FACTS, policy)
        times.append(time.perf_counter() - began)

    ms = [seconds * 1_000 for seconds in times]
    report(
        "judgements",
        f"{count} rules",
        1_000 / median(ms),
        "per second",
        p50_ms=median(ms),
        p99_ms=quantiles(ms, n=100)[98],
    )


def _rule(n: int) -> Rule:
    """One of a mixture: by action, by risk, by arguments, by who asks."""
    kinds = (
        f"decision.action == 'tool.call' && decision.args.tool == 'tool-{n}'",
        "decision.action in ['workflow.run', 'tool.call'] && facts.plan.risk == 'high'",
        f"decision.action == 'workflow.run' && decision.args.workflow == 'w{n}'",
        f"decision.principal.subject == 'sub-{n}' && facts.time.hour > 22",
    )
    if n == 0:
        return Rule(id="all", when="decision.principal.kind == 'api_key'", then="allow")

    return Rule(id=f"r{n}", when=kinds[n % 4], then="deny" if n % 2 else "ask")


def _decision() -> JsonObject:
    return {
        "id": "dec_01m7y4ad52evcba6zat7tp05c2",
        "action": "workflow.run",
        "args": {"workflow": "greet", "input": {"name": "Ada"}},
        "proposer": {"kind": "user", "id": "key_01m7y4ad52evcba6zat7tp05c2"},
        "principal": {
            "id": "key_01m7y4ad52evcba6zat7tp05c2",
            "kind": "api_key",
            "subject": "sub_01m7y4ad52evcba6zat7tp05c2",
            "permissions": ["read", "workflow.run"],
            "tenant": "default",
        },
        "channel": {"kind": "http", "address": "127.0.0.1"},
        "conversation_id": None,
        "run_id": None,
        "reason": "",
        "dry_run": False,
    }
