"""The fault campaign: runs under faults, then a count of what was lost or done twice.

``python -m tests.faults.campaign quick|full [--seed N] [--deployment NAME]``. The
product is one child process with the embedded bus and store, or many on Redis and
MongoDB; the system outside is another. A client starts runs and remembers what it was
told. Exit code 1 tells of a broken promise.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import anyio

from tests.faults.attention import answer_all
from tests.faults.client import AckingClient
from tests.faults.embedded import embedded_stage
from tests.faults.evidence import OPEN, chained, drain, gather, rest_of, settle
from tests.faults.judgement import check_bus, judge
from tests.faults.orders import Order, orders, tools, workflows
from tests.faults.points import cases, orders_of, points_stage
from tests.faults.processes import processes_stage
from tests.faults.storm import Fault, Stage, storm
from tests.faults.violations import PROMISES, Violation
from tests.faults.works import SETTLE_S
from tests.support.api import Api
from tests.support.sink import Sink, open_sink

Opened = AbstractAsyncContextManager[tuple[Stage, Api]]

_MOST_SHOWN = 20
_FIXED_SEED = 20_261_121
_FRESH = 1_000_000
"""Fresh seeds are smaller than the fixed one."""


class Size(NamedTuple):
    """Runs, faults, and the limit in seconds."""

    runs: int
    faults: int
    limit_s: float


_ALL_POINTS = Size(len(cases()), len(cases()), 240)
_SIZES = {
    ("quick", "embedded"): (Size(75, 5, 90), Size(30, 2, 60)),
    ("quick", "processes"): (Size(100, 10, 180), Size(40, 4, 120)),
    ("quick", "points"): (_ALL_POINTS,),
    ("full", "embedded"): (Size(1_000, 50, 420), Size(1_000, 50, 420)),
    ("full", "processes"): (Size(1_000, 50, 600), Size(1_000, 50, 600)),
    ("full", "points"): (_ALL_POINTS,),
}
"""Of the campaign with the fixed seed, and of the one with a fresh seed, if any."""


DeploymentName = Literal["embedded", "processes", "points"]
"""``points`` are processes that die, or stand still, at every named failpoint."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """How much of it; the seed decides what is ordered and which fault comes when."""

    extent: str
    deployment: DeploymentName
    seed: int
    size: Size


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of a campaign."""

    violations: list[Violation]
    faults: list[Fault]
    answered: int
    rests: Counter[str]
    repeated: int
    entries: int
    seconds: float


def main(arguments: Sequence[str]) -> int:
    """Run the campaigns that were asked for; the exit code."""
    asked = _asked(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        held = [
            _run(campaign)
            for name in asked.deployment or get_args(DeploymentName)
            for campaign in campaigns(asked.extent, name, asked.seed)
        ]
    except KeyboardInterrupt:
        return 130

    return 0 if all(held) else 1


def campaigns(
    extent: str, deployment: DeploymentName, seed: int | None
) -> list[Campaign]:
    """``full``: 1,000 runs and 50 faults; ``quick``: less. A fixed and a new seed.

    A given seed is the only one, with the size it has when it is drawn.
    """
    sizes = _SIZES[extent, deployment]
    fresh = random.SystemRandom().randrange(_FRESH)
    drawn = dict(zip((_FIXED_SEED, fresh), sizes, strict=False))
    if seed is not None:
        drawn = {seed: sizes[0] if seed == _FIXED_SEED else sizes[-1]}

    return [Campaign(extent, deployment, *one) for one in drawn.items()]


async def run_campaign(campaign: Campaign, folder: Path) -> Findings:
    """One campaign with its files in this folder. Raises TimeoutError."""
    with anyio.fail_after(campaign.size.limit_s):
        async with (
            open_sink(folder, campaign.seed) as sink,
            _stage(campaign, folder, sink) as (stage, api),
        ):
            try:
                await _define(api, sink)
                await stage.begin()
                return await _held(campaign, stage, api, sink)
            except BaseException as error:
                error.add_note("\n".join(_told(stage.faults)))
                raise


async def _held(campaign: Campaign, stage: Stage, api: Api, sink: Sink) -> Findings:
    """Disturb, let it settle, judge; answer who must be asked, and judge again."""
    began = time.monotonic()
    asked = _orders(campaign)
    client = AckingClient(api)
    await _disturb(stage, client, asked, campaign)
    await settle(api, SETTLE_S)
    await client.place_again(asked)
    await chained(api, SETTLE_S)
    named = client.acked.values()
    evidence = await gather(api, named, sink, await stage.writings())
    found = judge(asked, client.acked, stage.faults, evidence)
    answered = await answer_all(api, evidence)
    await settle(api, SETTLE_S, OPEN)
    await drain(api, SETTLE_S)
    await chained(api, SETTLE_S)
    evidence = await gather(api, named, sink, await stage.writings())
    found += judge(asked, client.acked, (), evidence)
    found += check_bus(evidence)
    return Findings(
        violations=[
            *stage.violations,
            *client.violations,
            *client.unacked(asked),
            *dict.fromkeys(found),
        ],
        answered=answered,
        faults=stage.faults,
        rests=Counter(map(rest_of, evidence.histories.values())),
        repeated=len(evidence.received) - len(set(evidence.received)),
        entries=len(evidence.ledger),
        seconds=time.monotonic() - began,
    )


@asynccontextmanager
async def _stage(
    campaign: Campaign, folder: Path, sink: Sink
) -> AsyncIterator[tuple[Stage, Api]]:
    """What the campaign disturbs, ready, and its API."""
    opened: dict[str, Callable[[], Opened]] = {
        "embedded": partial(embedded_stage, folder, sink),
        "processes": partial(processes_stage, folder, sink, campaign.seed),
        "points": partial(points_stage, folder, sink),
    }
    async with opened[campaign.deployment]() as stage:
        yield stage


def _orders(campaign: Campaign) -> list[Order]:
    if campaign.deployment == "points":
        return orders_of(campaign.seed)

    return orders(campaign.size.runs, campaign.seed)


async def _define(api: Api, sink: Sink) -> None:
    for tool in tools(sink.url):
        await api.post("/tools", tool)

    for workflow in workflows():
        await api.post("/workflows", workflow)


async def _disturb(
    stage: Stage, client: AckingClient, asked: list[Order], campaign: Campaign
) -> None:
    """Place all orders while faults strike; at most SETTLE_S longer."""
    # no buffer: the faults are spread over all orders, however slow the machine is
    send, receive = anyio.create_memory_object_stream[Order]()
    async with anyio.create_task_group() as placing:
        placing.start_soon(client.place_all, receive)
        await storm(stage, send, asked, campaign.size.faults, campaign.seed)
        placing.cancel_scope.deadline = anyio.current_time() + SETTLE_S


def _run(campaign: Campaign) -> bool:
    """Run a campaign and tell of it; whether every promise held."""
    folder = Path(tempfile.mkdtemp(prefix="sluicegate-faults-"))
    try:
        findings = anyio.run(run_campaign, campaign, folder)
    except Exception:
        print(f"seed {campaign.seed}: broken off; the files are in {folder}")
        raise

    print(summary(campaign, findings), flush=True)
    if findings.violations:
        _tell(campaign, findings, folder)
        return False

    shutil.rmtree(folder)
    return True


def summary(campaign: Campaign, findings: Findings) -> str:
    """One line: what was asked, what was broken, how the runs rest."""
    broken = Counter(one.promise for one in findings.violations)
    counts = ", ".join(f"{broken[promise]} {promise}" for promise in PROMISES)
    rests = ", ".join(f"{number} {rest}" for rest, number in findings.rests.items())
    return (
        f"{campaign.deployment}, seed {campaign.seed}: {campaign.size.runs:,} runs, "
        f"{campaign.size.faults} faults: {counts}; "
        f"{findings.answered} needed attention, then {rests}; "
        f"{findings.repeated} calls repeated under their key; "
        f"{findings.entries:,} ledger entries verified; {findings.seconds:.0f} s"
    )


def _tell(campaign: Campaign, findings: Findings, folder: Path) -> None:
    for violation in findings.violations[:_MOST_SHOWN]:
        print("  {}: {}: {}".format(*violation))

    print(f"  of {len(findings.violations)} in all; the files are in {folder}")
    for line in _told(findings.faults):
        print(line)

    again = f"--deployment {campaign.deployment} --seed {campaign.seed}"
    print(f"  again: scripts/faults {campaign.extent} {again}")


def _told(faults: Sequence[Fault]) -> Iterator[str]:
    """The fault log: when, what, which."""
    return (f"  {one.began} {one.what}, {one.moment}" for one in faults)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("extent", choices=("quick", "full"))
    parser.add_argument("--seed", type=int)
    names = get_args(DeploymentName)
    parser.add_argument("--deployment", choices=names, action="append")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
