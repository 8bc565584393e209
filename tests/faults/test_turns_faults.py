"""A turn killed between any two of its steps goes on, and pays nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.faults.failpoints import OF_TURNS
from tests.support.api import Api, open_api
from tests.support.definitions import greet
from tests.support.deployment import Plan, open_deployment, open_doors
from tests.support.polling import until
from tests.support.responses_server import ResponsesServer, responses_server, says
from tests.support.servers import RedisServer
from tests.support.service import ServiceProcess

pytestmark = pytest.mark.timeout(120)

_WITHIN_S = 30.0
_SAID = "Greet Ada"
_REPLY = "Ada was greeted."


class House(NamedTuple):
    """A service, or a deployment, that may die at a point, and the model it asks."""

    api: Api
    provider: ResponsesServer
    failpoint: Path
    revive: Callable[[], Awaitable[None]]
    """Return once whoever died is there again."""

    redis: RedisServer | None = None

    async def is_struck(self) -> bool:
        """Whether the point was passed."""
        return not self.failpoint.exists()


Opened = AbstractAsyncContextManager[House]


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[House]:
    file = folder / "failpoint"
    async with responses_server() as provider:
        service = ServiceProcess(folder, **_settings(provider, file))

        async def revive() -> None:
            await service.kill()
            await service.start()
            await service.ready()

        await service.start()
        await service.ready()
        try:
            async with open_api(service.url, service.key) as api:
                yield House(api, provider, file, revive)
        finally:
            await service.kill()


@asynccontextmanager
async def _processes(folder: Path) -> AsyncIterator[House]:
    file = folder / "failpoint"
    async with responses_server() as provider:
        plan = Plan(settings=_settings(provider, file))
        async with (
            open_deployment(folder, plan) as deployment,
            open_doors(deployment) as api,
        ):
            yield House(api, provider, file, deployment.ready, deployment.redis)


@pytest.fixture(
    scope="module", params=[_embedded, _processes], ids=["embedded", "processes"]
)
async def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    opened: Callable[[Path], Opened] = request.param
    async with opened(tmp_path_factory.mktemp("house")) as house:
        await house.api.post("/workflows", greet())
        yield house


@pytest.mark.parametrize("point", OF_TURNS)
async def test_a_turn_killed_at_a_point_goes_on(house: House, point: str) -> None:
    calls = ("run_workflow", {"workflow": "greet", "input": {"name": "Ada"}})
    house.provider.will(says("", calls), says(_REPLY))
    asked, ran = len(house.provider.asked), len(await _runs(house.api))
    made = await house.api.post("/conversations", {})
    path = f"/conversations/{made['id']}"
    house.failpoint.write_text(f"{point}:kill", encoding="utf-8")
    with suppress(aiohttp.ClientError, TimeoutError):
        body = {"text": _SAID, "timeout_s": 2}
        await house.api.call(
            "POST", f"{path}/messages", body, headers={"Idempotency-Key": "one"}
        )

    assert await until(house.is_struck, within_s=_WITHIN_S), "it was never reached"
    await house.revive()
    assert await until(lambda: _is_answered(house.api, path), within_s=_WITHIN_S)

    log = (await house.api.get(f"{path}/turns?limit=200"))["items"]
    history = (await house.api.get(f"{path}/messages"))["items"]
    runs = await _runs(house.api)
    kinds = [one["type"] for one in log]
    assert [(one["role"], one["text"]) for one in history] == [
        ("user", _SAID),
        ("assistant", _REPLY),
    ]
    assert [one["seq"] for one in log] == [*range(1, len(log) + 1)]
    assert kinds.count("turn_proposed") == kinds.count("turn_ended") == 1
    assert kinds.count("model_response") == 2
    assert len(house.provider.asked) == asked + 2, "what was kept is not paid twice"
    assert len(runs) == ran + 1
    assert {one["status"] for one in runs} == {"completed"}


@pytest.mark.parametrize("house", [_processes], indirect=True, ids=["processes"])
async def test_without_a_bus_no_model_is_asked(house: House) -> None:
    house.provider.will(says("Yes."))
    made = await house.api.post("/conversations", {})
    path, asked = f"/conversations/{made['id']}", len(house.provider.asked)
    assert house.redis is not None
    await house.redis.kill()
    try:
        away = await house.api.call("POST", f"{path}/messages", {"text": "Hi"})
    finally:
        await house.redis.start()

    async def is_answered() -> bool:
        body = {"text": "Hi", "timeout_s": 5}
        again = await house.api.call("POST", f"{path}/messages", body)
        return again.status == 200

    assert (away.status, away.code) == (503, "redis_unavailable")
    assert len(house.provider.asked) == asked
    history = (await house.api.get(f"{path}/messages"))["items"]
    assert history == []
    assert await until(is_answered, within_s=_WITHIN_S)


async def _runs(api: Api) -> list[Any]:
    return list((await api.get("/runs?limit=200"))["items"])


async def _is_answered(api: Api, path: str) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError):
        told = await api.call("GET", f"{path}/messages")
        return told.status == 200 and len(told.body["items"]) == 2

    return False


def _settings(provider: ResponsesServer, failpoint: Path) -> dict[str, Any]:
    return {
        "FAILPOINT": f"@{failpoint}",
        "LLM__PROVIDER": "openai_responses",
        "LLM__MODEL": "model-1",
        "LLM__API_KEY": "sk-test",
        "LLM__BASE_URL": provider.url,
        "RUNS__LEASE_S": "2",
        "RUNS__SWEEP_S": "0.5",
    }
