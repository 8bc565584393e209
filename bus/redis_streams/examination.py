"""An examination of a Redis: whether it answers, and keeps what it is given."""

from __future__ import annotations

from bus.redis_streams.address import Address
from bus.redis_streams.link import Link
from contracts import BusUnavailable, Finding

_DEADLINE_S = 3.0
_OLDEST = (6, 2)

_ADVICE = {
    "aof_enabled": (
        "1",
        "it forgets what it holds when it stops: CONFIG SET appendonly yes",
    ),
    "maxmemory_policy": (
        "noeviction",
        "it throws messages away: CONFIG SET maxmemory-policy noeviction",
    ),
}
"""What INFO has to say, and what is wrong if it says something else."""


async def examine(url: str) -> Finding:
    """What a look at the Redis of this URL finds. Raises ConfigurationError."""
    link = Link(Address(url), "sluicegate:doctor", deadline_s=_DEADLINE_S)
    try:
        return _judged(_facts(await link.call(b"INFO")))
    except BusUnavailable as error:
        return Finding("redis", "bad", f"{error.message} Is it started?")
    finally:
        await link.close()


def _facts(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode().splitlines())
    return {name: value for name, _, value in lines}


def _judged(facts: dict[str, str]) -> Finding:
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts["redis_version"]
    wrong = [
        advice for key, (due, advice) in _ADVICE.items() if facts.get(key, due) != due
    ]
    if tuple(map(int, facts["redis_version"].split(".")[:2])) < _OLDEST:
        wrong.append("it is older than 6.2")

    if wrong:
        return Finding("redis", "bad", f"{name} {version}: {'; '.join(wrong)}")

    told = f"{name} {version}, {facts.get('used_memory_human', '?')} used"
    return Finding("redis", "ok", told)
