"""Telegram under kills: updates sent thrice to two gateways count once, in order."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import anyio
import pytest

from tests.support.api import Api
from tests.support.bot_api_server import (
    SECRET,
    TOKEN,
    BotApiServer,
    bot_api_server,
    message,
)
from tests.support.deployment import Deployment, Plan, open_deployment, open_doors
from tests.support.polling import until

pytestmark = pytest.mark.timeout(300)

_CHATS = (101, 102, 103, 104)
_UPDATES = 1_000
_SENDERS = 16
_KILLS = 6
_WITHIN_S = 180.0


class Wire(NamedTuple):
    """Two gateways with a bot, and the bot's other end."""

    deployment: Deployment
    api: Api
    bot: BotApiServer
    begun: dict[int, float]
    """When each update was first sent to anybody."""

    acked: dict[int, float]
    """When it was first taken by somebody."""

    async def push(self, update: Any, n: int) -> None:
        """Bring an update to a gateway until one takes it, as Telegram does."""
        urls, id_ = self.deployment.urls, update["update_id"]
        self.begun.setdefault(id_, time.monotonic())
        while True:
            url = f"{urls[n % len(urls)]}/telegram/webhook"
            try:
                if await self.bot.push(url, update) == 200:
                    self.acked.setdefault(id_, time.monotonic())
                    return
            except (aiohttp.ClientError, ConnectionError):
                pass

            n += 1
            await anyio.sleep(0.05)


@pytest.fixture
async def wire(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wire]:
    async with bot_api_server() as bot:
        plan = Plan(
            gateways=2,
            settings={
                "RUNS__LEASE_S": "3",
                "RUNS__SWEEP_S": "0.5",
                "TELEGRAM__MODE": "webhook",
                "TELEGRAM__BASE_URL": bot.url,
                "TELEGRAM__TOKEN": TOKEN,
                "TELEGRAM__SECRET": SECRET,
                "TELEGRAM__ALLOW": '["101", "102", "103", "104"]',
            },
        )
        folder = tmp_path_factory.mktemp("wire")
        async with (
            open_deployment(folder, plan) as deployment,
            open_doors(deployment) as api,
        ):
            yield Wire(deployment, api, bot, {}, {})


async def test_a_thousand_updates_thrice_to_two_gateways_under_kills(
    wire: Wire,
) -> None:
    dice = random.Random(20_261_121)
    updates = [
        message(n, _CHATS[n % len(_CHATS)], f"/status {n}") for n in range(_UPDATES)
    ]
    thrice = updates * 3
    dice.shuffle(thrice)
    async with anyio.create_task_group() as tasks:
        for sender in range(_SENDERS):
            tasks.start_soon(_send, wire, thrice[sender::_SENDERS], sender)

        for n in range(_KILLS):
            await anyio.sleep(1.0)
            await wire.deployment.kill(f"gateway-{n % 2}")

    await wire.deployment.ready()
    assert await until(lambda: _are_all_heard(wire), within_s=_WITHIN_S)

    decisions = [one async for one in wire.api.pages("/decisions?limit=200")]
    proposed = [one for one in decisions if one["action"] == "conversation.turn"]
    turns = Counter(one["args"]["inbox_id"] for one in proposed)
    assert set(turns) == {f"said:7/{n}" for n in range(_UPDATES)}
    assert set(turns.values()) == {1}
    listed = (await wire.api.get("/conversations?limit=200"))["items"]
    assert len(listed) == len(_CHATS)
    for one in listed:
        _expect_order(wire, await _proposed(wire.api, one["id"]))


def _expect_order(wire: Wire, ids: list[int]) -> None:
    """None stands behind one that was first sent only after it had been taken."""
    latest = 0.0
    for id_ in ids:
        assert wire.acked[id_] >= latest, f"{id_} was taken long before"
        latest = max(latest, wire.begun[id_])


async def _proposed(api: Api, conversation_id: str) -> list[int]:
    """The updates of a chat in the order in which their turns were proposed."""
    path = f"/conversations/{conversation_id}/turns?limit=200"
    opened = [one async for one in api.pages(path) if one["type"] == "turn_proposed"]
    return [int(one["payload"]["item"]["id"].rpartition("/")[2]) for one in opened]


async def _send(wire: Wire, updates: list[Any], n: int) -> None:
    for place, update in enumerate(updates):
        await wire.push(update, n + place)


async def _are_all_heard(wire: Wire) -> bool:
    """Whether every text stands in its conversation's history."""
    listed = (await wire.api.get("/conversations?limit=200"))["items"]
    return sum(int(one["messages"]) for one in listed) == 2 * _UPDATES
