"""A deployment that faults are tried on one by one, and what all of them must keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio

from contracts import ENDED
from tests.faults.client import AckingClient
from tests.faults.evidence import chained, gather, settle
from tests.faults.judgement import judge
from tests.faults.orders import Order, tools, workflows
from tests.faults.processes import plan_of
from tests.faults.writers import Writings, read_writings
from tests.support.api import Api
from tests.support.deployment import (
    DATABASE,
    Deployment,
    RoleProcess,
    open_deployment,
    open_doors,
)
from tests.support.servers import direct_client
from tests.support.sink import Received, Sink, open_sink

SETTLE_S = 30.0
"""How long after the last fault everything must have come to rest."""

_ASKED_FOR = (
    "decisions",
    "runs",
    "run_events",
    "effects",
    "idempotency",
    "approvals",
)
_PLACE_S = 60.0
_READ_S = 5.0


class Works(NamedTuple):
    """A deployment that knows the workflows, its API, and the sink they call."""

    deployment: Deployment
    api: Api
    sink: Sink

    async def counts(self) -> dict[str, int]:
        """How much is stored of what somebody asked for."""
        server = self.deployment.mongo
        async with direct_client(server.address, _READ_S) as client:
            stored = client[DATABASE]
            return {name: await stored[name].count_documents({}) for name in _ASKED_FOR}

    async def key(self, subject: str, *roles: str) -> Api:
        """The API for the holder of a new key of this subject."""
        body = {"subject": subject, "roles": roles}
        made = await self.api.post("/keys", body)
        return self.api.as_holder_of(made["key"])

    async def completed(self) -> int:
        """How many runs have completed."""
        async with direct_client(self.deployment.mongo.address, _READ_S) as client:
            done = {"status": "completed"}
            return int(await client[DATABASE].runs.count_documents(done))

    async def open_runs(self) -> int:
        """How many runs have not ended."""
        async with direct_client(self.deployment.mongo.address, _READ_S) as client:
            open_ = {"status": {"$nin": [*ENDED]}}
            return int(await client[DATABASE].runs.count_documents(open_))

    async def worker_of(self, run_id: str) -> RoleProcess:
        """The process that drives a run."""
        told = (await self.api.get("/system/worker"))["workers"]
        pids = {one["worker"]: one["pid"] for one in told}
        async with direct_client(self.deployment.mongo.address, _READ_S) as client:
            run = await client[DATABASE].runs.find_one({"id": run_id})

        assert run is not None
        pid = pids[run["lease_owner"]]
        workers = self.deployment.of("worker")
        return next(one for one in workers if one.child.pid == pid)

    async def writings(self) -> Writings:
        """Who wrote the logs of all runs."""
        return await read_writings(self.deployment.mongo, DATABASE)

    def received(self, token: str) -> list[Received]:
        """The calls that the sink got with this token."""
        return [one for one in self.sink.received() if one.token == token]

    def lives(self) -> int:
        """How often a process was started again."""
        return sum(len(one.ends) for one in self.deployment.processes.values())


@asynccontextmanager
async def open_works(folder: Path) -> AsyncIterator[Works]:
    """Two processes of each role; nothing of them is left after the context."""
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


async def place(client: AckingClient, asked: list[Order]) -> None:
    """Place orders until each is answered for good, or for a minute."""
    send, receive = anyio.create_memory_object_stream[Order](len(asked))
    async with send:
        for order in asked:
            send.send_nowait(order)

    with anyio.move_on_after(_PLACE_S):
        await client.place_all(receive)


async def expect_all_kept(
    works: Works, client: AckingClient, asked: list[Order]
) -> None:
    """Every order was acked, its run has ended well, and nothing was done twice."""
    await settle(works.api, SETTLE_S)
    await chained(works.api, SETTLE_S)
    named, writings = client.acked.values(), await works.writings()
    evidence = await gather(works.api, named, works.sink, writings)
    assert client.violations == []
    assert [*client.unacked(asked)] == []
    assert judge(asked, client.acked, (), evidence) == []
