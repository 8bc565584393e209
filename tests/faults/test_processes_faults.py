"""Many processes under one fault at a time: what is accepted goes on by itself."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import get_args

import aiohttp
import anyio
import pytest
from redis.asyncio import Redis

from contracts import Body, Deliver, canonical, new_id, said
from tests.faults.client import AckingClient
from tests.faults.evidence import settle
from tests.faults.orders import Order, orders
from tests.faults.processes import LONGER_THAN_LEASE_S
from tests.faults.shop import Shop, open_shop
from tests.faults.storm import now
from tests.faults.works import SETTLE_S, Works, expect_all_kept, open_works, place
from tests.faults.writers import check_writers
from tests.support.api import Api
from tests.support.deployment import Role
from tests.support.polling import until
from tests.support.server_faults import flush, stepping_down, wipe
from tests.support.servers import RedisServer
from tests.support.stored import approved, decision

pytestmark = pytest.mark.timeout(120)

FIRST_PROGRESS_S = 15.0
_CUTS = 4
_OPEN = 200


@pytest.fixture(scope="module")
async def works(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Works]:
    async with open_works(tmp_path_factory.mktemp("works")) as works:
        yield works


@pytest.mark.parametrize("lose", [flush, wipe])
async def test_open_runs_end_by_themselves_after_the_bus_lost_everything(
    works: Works, lose: Callable[[RedisServer], Awaitable[None]]
) -> None:
    asked = [Order(f"{lose.__name__}-{n}", "linger", n) for n in range(_OPEN + 80)]
    client, lives = AckingClient(works.api), works.lives()
    async with anyio.create_task_group() as placing:
        placing.start_soon(place, client, asked)
        assert await until(partial(_are_open, works, _OPEN), within_s=SETTLE_S)
        await lose(works.deployment.redis)
        began, before = time.monotonic(), await works.completed()
        assert await until(lambda: _more(works, before), within_s=FIRST_PROGRESS_S)
        print(f"first progress after {time.monotonic() - began:.1f} s")

    await expect_all_kept(works, client, asked)
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
    await place(client, asked)
    await expect_all_kept(works, client, asked)


async def test_messages_nobody_signed_are_given_up_and_do_nothing(
    works: Works,
) -> None:
    await settle(works.api, SETTLE_S)
    before = await works.counts()
    received = works.sink.received()
    known = len((await works.api.get("/system/bus"))["dead_letters"])
    proposed = decision()
    frames = {
        "decision": _forged(proposed, "http"),
        "verdict": _forged(approved(proposed), "coordinator"),
        "deliver": _forged(_text_for_a_person(), "coordinator"),
    }
    heard = {"decision", "verdict"}  # a role that sends texts is no part of it yet
    async with Redis(port=works.deployment.redis.port) as client:
        for kind, frame in frames.items():
            await client.xadd(f"{{sluicegate}}:work:{kind}", {"m": frame})

    async def given_up() -> bool:
        told = await works.api.get("/system/bus")
        return len(told["dead_letters"]) == known + len(heard)

    assert await until(given_up, within_s=10)
    assert await works.counts() == before
    assert works.sink.received() == received
    assert "no key of ours made this message" in works.deployment.logs()


async def test_a_primary_that_steps_down_again_and_again_costs_no_event(
    works: Works,
) -> None:
    asked = orders(100, seed=3)
    client = AckingClient(works.api)
    async with stepping_down(works.deployment.mongo, every_s=10, seconds=2):
        with anyio.move_on_after(25):
            for n in range(5):
                await place(client, asked[n::5])
                await anyio.sleep(3)

    await place(client, [one for one in asked if one.token not in client.acked])
    await expect_all_kept(works, client, asked)


async def test_a_rolling_restart_loses_nothing_and_ends_every_process_well(
    works: Works,
) -> None:
    asked = orders(100, seed=4)
    client = AckingClient(works.api)
    async with anyio.create_task_group() as placing:
        placing.start_soon(place, client, asked)
        for name in ("worker-0", "worker-1", "gateway-0", "gateway-1"):
            assert await works.deployment.terminate(name) == 0
            await anyio.sleep(0.5)
            await works.deployment.ready([name])

    await expect_all_kept(works, client, asked)


@pytest.mark.parametrize(("clients", "runs"), [(500, 200)])
async def test_streams_that_are_opened_again_tell_each_event_once_in_order(
    works: Works, clients: int, runs: int
) -> None:
    asked = [Order(f"heard-{n}", "linger", n) for n in range(runs)]
    client = AckingClient(works.api)
    readers = [await works.key(f"reader-{n}", "viewer") for n in range(clients // 25)]
    heard: list[tuple[str, list[int]]] = []
    dice = random.Random(5)
    async with anyio.create_task_group() as listening:
        listening.start_soon(place, client, asked)
        for n in range(clients):
            reader, token = readers[n % len(readers)], asked[n % runs].token
            assert await until(partial(_is_acked, client, token), within_s=SETTLE_S)
            run_id = client.acked[token]
            listening.start_soon(_listen, reader, run_id, dice, heard)

    assert len(heard) == clients
    for run_id, seqs in heard:
        told = works.api.pages(f"/runs/{run_id}/events?limit=200")
        assert seqs == [event["seq"] async for event in told]


@pytest.fixture(scope="module")
async def shop(works: Works) -> Shop:
    return await open_shop(works)


@pytest.mark.parametrize("role", get_args(Role))
async def test_an_order_that_waits_for_a_person_outlives_all_of_a_role(
    shop: Shop, role: Role
) -> None:
    quantity = 1 + get_args(Role).index(role)
    run_id = await shop.asked("lamp", quantity)
    deployment = shop.works.deployment
    for process in deployment.of(role):
        assert await process.kill()

    voted = await shop.approve(run_id)
    run = await shop.rested(run_id, "completed")

    assert voted.status == 200
    assert (run["status"], run["success"]) == ("completed", True)
    assert run["output"]["total_cents"] == 4_990 * quantity
    assert len(shop.works.received(f"lamp-{quantity}")) == 1
    await deployment.ready()


async def test_a_worker_that_stands_still_in_a_call_neither_repeats_nor_records_it(
    shop: Shop,
) -> None:
    run_id = await shop.asked("chair", 1)
    assert (await shop.approve(run_id)).status == 200

    async def is_called() -> bool:
        return bool(shop.works.received("chair-1"))

    assert await until(is_called, within_s=10)
    worker = await shop.works.worker_of(run_id)
    with worker.child.held():
        await anyio.sleep(LONGER_THAN_LEASE_S)
        run = await shop.rested(run_id, "needs_attention")
        assert run["paused_reason"] == "needs_attention"

    await shop.works.deployment.ready()
    # time for it to read the answer, and to write what it must not
    await anyio.sleep(2.0)

    assert (await shop.works.api.get(f"/runs/{run_id}")) == run
    assert len(shop.works.received("chair-1")) == 1
    assert [*check_writers(await shop.works.writings())] == []


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
            if response.status == 204:  # it had read the end, and was cut off then
                return True

            async for raw in response.content:
                name, _, value = raw.decode().rstrip("\r\n").partition(": ")
                if name == "id":
                    seqs.append(int(value))
                elif (name, value) == ("event", "end"):
                    return True
    except (aiohttp.ClientError, TimeoutError):
        return False

    return False


async def _are_open(works: Works, runs: int) -> bool:
    return await works.open_runs() >= runs


async def _is_acked(client: AckingClient, token: str) -> bool:
    return token in client.acked


async def _more(works: Works, before: int) -> bool:
    return await works.completed() > before


def _text_for_a_person() -> Deliver:
    return Deliver(id=new_id("msg"), conversation_id=new_id("cnv"), text="pay me")


def _forged(body: Body, by: str) -> bytes:
    """A frame as ours look, sealed with a key that is not ours."""
    envelope = said(body, by=by, tenant="default", at=now())
    text = canonical(envelope.plain())
    seal = hmac.new(b"not our key" * 4, b"1" + text, hashlib.sha256).hexdigest()
    return b"1 " + seal.encode() + b"\n" + text
