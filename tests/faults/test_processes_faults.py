"""Many processes under one fault at a time: what is accepted goes on by itself."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import aiohttp
import anyio
import pytest
from redis.asyncio import Redis

from contracts import Body, canonical, said
from tests.faults.campaign import SETTLE_S
from tests.faults.client import AckingClient
from tests.faults.evidence import Evidence, chained, gather, settle
from tests.faults.judgement import judge
from tests.faults.orders import Order, orders, tools, workflows
from tests.faults.processes import plan_of
from tests.faults.storm import now
from tests.faults.writers import read_writings
from tests.support.api import Api
from tests.support.deployment import (
    DATABASE,
    Deployment,
    open_deployment,
    open_doors,
)
from tests.support.polling import until
from tests.support.server_faults import flush, stepping_down, wipe
from tests.support.servers import RedisServer, direct_client
from tests.support.sink import Sink, open_sink
from tests.support.stored import approved, decision

pytestmark = pytest.mark.timeout(120)

FIRST_PROGRESS_S = 15.0
_CUTS = 4
ASKED_FOR = ("decisions", "runs", "run_events", "effects", "idempotency", "approvals")


class Works(NamedTuple):
    """A deployment that knows the workflows, its API, and the sink they call."""

    deployment: Deployment
    api: Api
    sink: Sink

    async def counts(self) -> dict[str, int]:
        """How much is stored of what somebody asked for."""
        server = self.deployment.mongo
        async with direct_client(server.address, 5) as client:
            stored = client[DATABASE]
            return {name: await stored[name].count_documents({}) for name in ASKED_FOR}

    async def completed(self) -> int:
        """How many runs have completed."""
        async with direct_client(self.deployment.mongo.address, 5) as client:
            done = {"status": "completed"}
            return int(await client[DATABASE].runs.count_documents(done))

    def lives(self) -> int:
        """How often a process was started again."""
        return sum(len(one.ends) for one in self.deployment.processes.values())


@pytest.fixture(scope="module")
async def works(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Works]:
    folder = tmp_path_factory.mktemp("works")
    async with (
        open_sink(folder) as sink,
        open_deployment(folder, plan_of(sink)) as deployment,
        open_doors(deployment) as api,
    ):
        for tool in tools(sink.url):
            await api.post("/tools", tool)

        for workflow in workflows():
            await api.post("/workflows", workflow)

        yield Works(deployment, api, sink)


@pytest.mark.parametrize("lose", [flush, wipe])
async def test_open_runs_end_by_themselves_after_the_bus_lost_everything(
    works: Works, lose: Callable[[RedisServer], Awaitable[None]]
) -> None:
    asked = [Order(f"{lose.__name__}-{n}", "linger", n) for n in range(100)]
    client, lives = AckingClient(works.api), works.lives()
    async with anyio.create_task_group() as placing:
        placing.start_soon(_place, client, asked)
        await anyio.sleep(1.0)
        await lose(works.deployment.redis)
        began, before = time.monotonic(), await works.completed()
        assert await until(lambda: _more(works, before), within_s=FIRST_PROGRESS_S)
        print(f"first progress after {time.monotonic() - began:.1f} s")

    await _expect_all_kept(works, client, asked)
    assert works.lives() == lives


async def test_without_a_bus_nothing_is_begun_and_all_goes_on_with_it(
    works: Works,
) -> None:
    await settle(works.api, SETTLE_S)
    before = await works.counts()
    await works.deployment.redis.kill()
    try:
        given = {"workflow": "count", "input": {"token": "none", "amount": 1}}
        answer = await works.api.call("POST", "/runs", given)
    finally:
        await works.deployment.redis.start()

    assert (answer.status, answer.code) == (503, "redis_unavailable")
    assert await works.counts() == before
    client, asked = AckingClient(works.api), [Order("again", "count", 1)]
    await _place(client, asked)
    await _expect_all_kept(works, client, asked)


async def test_messages_nobody_signed_are_given_up_and_do_nothing(
    works: Works,
) -> None:
    await settle(works.api, SETTLE_S)
    before = await works.counts()
    known = len((await works.api.get("/system/bus"))["dead_letters"])
    proposed = decision()
    frames = {
        "decision": _forged(proposed, "http"),
        "verdict": _forged(approved(proposed), "coordinator"),
    }
    async with Redis(port=works.deployment.redis.port) as client:
        for kind, frame in frames.items():
            await client.xadd(f"{{sluicegate}}:work:{kind}", {"m": frame})

    async def given_up() -> bool:
        told = await works.api.get("/system/bus")
        return len(told["dead_letters"]) == known + 2

    assert await until(given_up, within_s=10)
    assert await works.counts() == before
    assert "no key of ours made this message" in works.deployment.logs()


async def test_a_primary_that_steps_down_again_and_again_costs_no_event(
    works: Works,
) -> None:
    asked = orders(100, seed=3)
    client = AckingClient(works.api)
    async with stepping_down(works.deployment.mongo, every_s=10, seconds=2):
        with anyio.move_on_after(25):
            for n in range(5):
                await _place(client, asked[n::5])
                await anyio.sleep(3)

    await _place(client, [one for one in asked if one.token not in client.acked])
    await _expect_all_kept(works, client, asked)


async def test_a_rolling_restart_loses_nothing_and_ends_every_process_well(
    works: Works,
) -> None:
    asked = orders(100, seed=4)
    client = AckingClient(works.api)
    async with anyio.create_task_group() as placing:
        placing.start_soon(_place, client, asked)
        for name in ("worker-0", "worker-1", "gateway-0", "gateway-1"):
            assert await works.deployment.terminate(name) == 0
            await anyio.sleep(0.5)
            await works.deployment.ready([name])

    await _expect_all_kept(works, client, asked)


@pytest.mark.parametrize("clients", [100])
async def test_streams_that_are_opened_again_tell_each_event_once_in_order(
    works: Works, clients: int
) -> None:
    asked = [Order(f"heard-{n}", "linger", n) for n in range(40)]
    client = AckingClient(works.api)
    await _place(client, asked)
    run_ids, dice = [*client.acked.values()], random.Random(5)
    heard: list[tuple[str, list[int]]] = []
    async with anyio.create_task_group() as listening:
        for n in range(clients):
            run_id = run_ids[n % len(run_ids)]
            listening.start_soon(_listen, works.api, run_id, dice, heard)

    assert len(heard) == clients
    for run_id, seqs in heard:
        told = works.api.pages(f"/runs/{run_id}/events?limit=200")
        assert seqs == [event["seq"] async for event in told]


async def _listen(
    api: Api, run_id: str, dice: random.Random, heard: list[tuple[str, list[int]]]
) -> None:
    """Read a run's events to their end, cut off and begun again now and then."""
    seqs: list[int] = []
    ended = False
    for _ in range(_CUTS):
        with anyio.move_on_after(dice.uniform(0.05, 1.0)):
            ended = ended or await _read_on(api, run_id, seqs)

    while not ended:
        ended = await _read_on(api, run_id, seqs)

    heard.append((run_id, seqs))


async def _read_on(api: Api, run_id: str, seqs: list[int]) -> bool:
    """Whether the stream told its end."""
    headers = {"Last-Event-ID": str(seqs[-1])} if seqs else {}
    try:
        async with api.stream(f"/runs/{run_id}/events", headers) as response:
            async for raw in response.content:
                name, _, value = raw.decode().rstrip("\r\n").partition(": ")
                if name == "id":
                    seqs.append(int(value))
                elif (name, value) == ("event", "end"):
                    return True
    except aiohttp.ClientError:
        return False

    return False


async def _place(client: AckingClient, asked: list[Order]) -> None:
    send, receive = anyio.create_memory_object_stream[Order](len(asked))
    async with send:
        for order in asked:
            send.send_nowait(order)

    with anyio.move_on_after(60):
        await client.place_all(receive)


async def _more(works: Works, before: int) -> bool:
    return await works.completed() > before


async def _expect_all_kept(
    works: Works, client: AckingClient, asked: list[Order]
) -> None:
    """Every order was acked, its run has ended well, and nothing was done twice."""
    await settle(works.api, SETTLE_S)
    await chained(works.api, SETTLE_S)
    evidence = await _evidence(works, client)
    assert client.violations == []
    assert [*client.unacked(asked)] == []
    assert judge(asked, client.acked, (), evidence) == []


async def _evidence(works: Works, client: AckingClient) -> Evidence:
    writings = await read_writings(works.deployment.mongo, DATABASE)
    return await gather(works.api, client.acked.values(), works.sink, writings)


def _forged(body: Body, by: str) -> bytes:
    """A frame as ours look, sealed with a key that is not ours."""
    envelope = said(body, by=by, tenant="default", at=now())
    text = canonical(envelope.plain())
    seal = hmac.new(b"not our key" * 4, b"1" + text, hashlib.sha256).hexdigest()
    return b"1 " + seal.encode() + b"\n" + text
