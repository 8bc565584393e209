"""The fault campaign: runs under kill -9, then a count of what was lost or done twice.

``python -m tests.faults.campaign quick|full [--seed N]``. The service is a child
process with the embedded bus and store, the system outside another; a client starts
runs and remembers what it was told. Exit code 1 tells of a broken promise.
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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.faults.attention import answer_all
from tests.faults.client import AckingClient
from tests.faults.evidence import OPEN, gather, rest_of, settle
from tests.faults.judgement import judge
from tests.faults.orders import Order, orders, tools, workflows
from tests.faults.storm import Kill, storm
from tests.faults.violations import PROMISES, Violation
from tests.support.api import Api, open_api
from tests.support.service import ServiceProcess
from tests.support.sink import Sink, open_sink

SETTLE_S = 30.0
"""How long after the last kill everything must have come to rest."""

_MOST_SHOWN = 20
_FIXED_SEED = 20_261_121


@dataclass(frozen=True, slots=True)
class Campaign:
    """How much of it; the seed decides what is ordered and when a kill comes."""

    extent: str
    seed: int
    runs: int
    kills: int
    limit_s: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of a campaign."""

    violations: list[Violation]
    kills: list[Kill]
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
        held = [_run(campaign) for campaign in campaigns(asked.extent, asked.seed)]
    except KeyboardInterrupt:
        return 130

    return 0 if all(held) else 1


def campaigns(extent: str, seed: int | None) -> list[Campaign]:
    """``full``: 1,000 runs and 50 kills. ``quick``: less, with a fixed and a new seed.

    A given seed is the only one.
    """
    fixed = [_FIXED_SEED] if seed is None else [seed]
    if extent == "full":
        return [Campaign(extent, one, 1_000, 50, 420) for one in fixed]

    fresh = [] if seed is not None else [random.SystemRandom().randrange(1_000_000)]
    return [Campaign(extent, one, 75, 5, 90) for one in fixed + fresh]


async def run_campaign(campaign: Campaign, folder: Path) -> Findings:
    """One campaign with its files in this folder. Raises TimeoutError."""
    began = time.monotonic()
    asked = orders(campaign.runs, campaign.seed)
    with anyio.fail_after(campaign.limit_s):
        async with _stage(folder, campaign.seed) as (service, api, sink):
            client = AckingClient(api)
            kills = await _disturb(service, client, asked, campaign)
            await settle(api, SETTLE_S)
            await client.place_again(asked)
            evidence = await gather(api, client.acked.values(), sink)
            found = judge(asked, client.acked, kills, evidence)
            answered = await answer_all(api, evidence)
            await settle(api, SETTLE_S, OPEN)
            evidence = await gather(api, client.acked.values(), sink)

    found += judge(asked, client.acked, (), evidence)
    return Findings(
        violations=[*client.violations, *dict.fromkeys(found)],
        answered=answered,
        kills=kills,
        rests=Counter(map(rest_of, evidence.histories.values())),
        repeated=len(evidence.received) - len(set(evidence.received)),
        entries=len(evidence.ledger),
        seconds=time.monotonic() - began,
    )


@asynccontextmanager
async def _stage(
    folder: Path, seed: int
) -> AsyncIterator[tuple[ServiceProcess, Api, Sink]]:
    """A ready service that knows the workflows, and the sink that they call."""
    async with open_sink(folder, seed) as sink:
        service = ServiceProcess(
            folder,
            TOOLS__HTTP__ALLOW_PRIVATE='["127.0.0.1"]',
            TOOLS__HTTP__PORTS=f"[{sink.port}]",
        )
        try:
            await service.start()
            await service.ready()
            async with open_api(service.url, service.key) as api:
                await _define(api, sink)
                yield service, api, sink
        finally:
            await service.kill()


async def _define(api: Api, sink: Sink) -> None:
    for tool in tools(sink.url):
        await api.post("/tools", tool)

    for workflow in workflows():
        await api.post("/workflows", workflow)


async def _disturb(
    service: ServiceProcess,
    client: AckingClient,
    asked: list[Order],
    campaign: Campaign,
) -> list[Kill]:
    """Place all orders while the service is killed; at most SETTLE_S longer."""
    send, receive = anyio.create_memory_object_stream[Order](len(asked))
    async with anyio.create_task_group() as placing:
        placing.start_soon(client.place_all, receive)
        kills = await storm(service, send, asked, campaign.kills, campaign.seed)
        placing.cancel_scope.deadline = anyio.current_time() + SETTLE_S

    return kills


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
        f"seed {campaign.seed}: {campaign.runs:,} runs, {campaign.kills} kills: "
        f"{counts}; {findings.answered} needed attention, then {rests}; "
        f"{findings.repeated} calls repeated under their key; "
        f"{findings.entries:,} ledger entries verified; {findings.seconds:.0f} s"
    )


def _tell(campaign: Campaign, findings: Findings, folder: Path) -> None:
    for violation in findings.violations[:_MOST_SHOWN]:
        print("  {}: {}: {}".format(*violation))

    print(f"  of {len(findings.violations)} in all; the files are in {folder}")
    for kill in findings.kills:
        print(f"  {kill.began} kill -9 {kill.pid}, {kill.moment}")

    print(f"  again: scripts/faults {campaign.extent} --seed {campaign.seed}")


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("extent", choices=("quick", "full"))
    parser.add_argument("--seed", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
