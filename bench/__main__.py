"""``python -m bench [NAME …]``: the named measures, or all; one JSON line a figure."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

import structlog

from bench import (
    conversations,
    durable_runs,
    http_sync,
    judging,
    messaging,
    mongo_store,
    process,
    redis_streams,
    shared_runs,
    sqlite_writer,
    store,
)

_MEASURES: dict[str, Callable[[], Awaitable[None]]] = {
    "messaging": messaging.measure,
    "redis_streams": redis_streams.measure,
    "judging": judging.measure,
    "sqlite_writer": sqlite_writer.measure,
    "store": store.measure,
    "mongo_store": mongo_store.measure,
    "runs": durable_runs.measure,
    "shared_runs": shared_runs.measure,
    "http": http_sync.measure,
    "process": process.measure,
    "conversations": conversations.measure,
}


def main(names: list[str]) -> int:
    """Run the measures of these names; all of them without a name."""
    unknown = [name for name in names if name not in _MEASURES]
    if unknown:
        print(f"no measure {unknown[0]}; there are {', '.join(_MEASURES)}")
        return 2

    level = logging.WARNING
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    for name in names or _MEASURES:
        _run(_MEASURES[name])

    return 0


def _run(measure: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(_awaited(measure))


async def _awaited(measure: Callable[[], Awaitable[None]]) -> None:
    await measure()


def _loop() -> asyncio.AbstractEventLoop:
    """The loop that the service uses too."""
    try:
        import uvloop  # noqa: PLC0415  an extra
    except ImportError:
        return asyncio.new_event_loop()

    return uvloop.new_event_loop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
