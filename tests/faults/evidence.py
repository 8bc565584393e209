"""What a campaign left behind, read through the API and from the sink's ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import anyio

from contracts import JsonObject, LedgerEntry, RunEvent, SignedHead
from tests.faults.writers import Writings
from tests.support.api import Api
from tests.support.polling import until
from tests.support.sink import Received, Sink

_READERS = 8
_POLL_S = 0.1
_STILL = 20
"""The ledger was asked so often, and had the same length."""


MOVING = frozenset({"queued", "running"})
OPEN = MOVING | {"paused"}


@dataclass(frozen=True, slots=True)
class History:
    """A run as it is shown, and all its events."""

    shown: JsonObject
    events: tuple[RunEvent, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is checked."""

    histories: dict[str, History]
    """By run id; a run that is not there is missing."""

    saved: dict[str, int]
    """The versions of workflows by name."""

    ledger: tuple[LedgerEntry, ...]
    head: SignedHead | None
    received: tuple[Received, ...]
    pending: dict[str, int]
    """What still lies on the bus, by kind and group."""

    dead_letters: tuple[JsonObject, ...]
    writings: Writings
    """Who wrote the logs of runs; empty where nobody else can write."""


def rest_of(history: History) -> str:
    """How a run rests: its status, or what it waits for."""
    return str(history.shown["paused_reason"] or history.shown["status"])


async def settle(api: Api, within_s: float, moving: frozenset[str] = MOVING) -> None:
    """Return when no run is in such a status any more, or when the time is over."""

    async def at_rest() -> bool:
        told = await api.call("GET", "/system/worker")
        if told.status != 200:
            return False

        return not any(told.body["runs"][status] for status in moving)

    await until(at_rest, within_s=within_s, every_s=_POLL_S)


async def drain(api: Api, within_s: float) -> None:
    """Return when nothing lies on the bus any more, or when the time is over."""

    async def is_empty() -> bool:
        told = await api.call("GET", "/system/bus")
        return told.status == 200 and not any(told.body["pending"].values())

    await until(is_empty, within_s=within_s, every_s=_POLL_S)


async def chained(api: Api, within_s: float) -> None:
    """Return when the ledger grows no more, or when the time is over.

    What was decided is linked into it a little later; much later if whoever links was
    killed and its lease runs on. So every decision must be there, too.
    """
    lengths: list[int] = []

    async def is_still() -> bool:
        told = await api.call("GET", "/ledger?limit=1")
        head = told.body.get("head") if told.status == 200 else None
        lengths.append(head["n"] if head else -1)
        is_still = len(lengths) > _STILL and len(set(lengths[-_STILL:])) == 1
        return is_still and await _is_whole(api)

    await until(is_still, within_s=within_s, every_s=_POLL_S)


async def _is_whole(api: Api) -> bool:
    """Whether every decision has its entry in the ledger."""
    try:
        decided = {one["id"] async for one in api.pages("/decisions?limit=200")}
        linked = {one["ref"] async for one in api.pages("/ledger?limit=200")}
    except AssertionError:
        return False  # a gateway is away

    return decided <= linked


async def gather(
    api: Api, acked: Iterable[str], sink: Sink, writings: Writings
) -> Evidence:
    """Read everything else; ``acked`` holds the ids of runs, and names."""
    signed = (await api.get("/ledger?limit=1"))["signed_head"]
    heads = api.pages("/workflows?limit=200")
    ledger = [LedgerEntry(**one) async for one in api.pages("/ledger?limit=200")]
    bus = await api.get("/system/bus")
    return Evidence(
        histories=await _histories(api, {one for one in acked if one[:4] == "run_"}),
        saved={one["name"]: one["version"] async for one in heads},
        ledger=tuple(ledger),
        head=SignedHead(**signed) if signed else None,
        received=tuple(sink.received()),
        pending=bus["pending"],
        dead_letters=tuple(bus["dead_letters"]),
        writings=writings,
    )


async def _histories(api: Api, run_ids: set[str]) -> dict[str, History]:
    found: dict[str, History] = {}

    async def read() -> None:
        while run_ids:
            run_id = run_ids.pop()
            history = await _history(api, run_id)
            if history is not None:
                found[run_id] = history

    async with anyio.create_task_group() as readers:
        for _ in range(_READERS):
            readers.start_soon(read)

    return found


async def _history(api: Api, run_id: str) -> History | None:
    shown = await api.call("GET", f"/runs/{run_id}")
    if shown.status == 404:
        return None

    path = f"/runs/{run_id}/events?limit=200&include_payload=true"
    events = [_event(one) async for one in api.pages(path)]
    return History(shown.body, tuple(events))


def _event(told: JsonObject) -> RunEvent:
    told.pop("payload_size")
    return RunEvent(**told)
