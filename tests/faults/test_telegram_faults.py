"""Telegram under kills: updates sent thrice to two gateways count once, in order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import anyio
import pytest

from contracts import DoorRecord
from tests.support.api import Api
from tests.support.bot_api_server import (
    SECRET,
    TOKEN,
    BotApiServer,
    bot_api_server,
    message,
)
from tests.support.deployment import (
    DATABASE,
    Deployment,
    Plan,
    open_deployment,
    open_doors,
)
from tests.support.polling import until
from tests.support.servers import direct_client

pytestmark = pytest.mark.timeout(180)

_CHATS = (101, 102, 103, 104)
_UPDATES = 1_000
_SENDERS = 16
_KILLS = 6
_WITHIN_S = 90.0


class Wire(NamedTuple):
    """Two gateways with a bot, and the bot's other end."""

    deployment: Deployment
    api: Api
    bot: BotApiServer

    async def push(self, update: Any, n: int) -> None:
        """Bring an update to a gateway until one takes it, as Telegram does."""
        urls = self.deployment.urls
        while True:
            url = f"{urls[n % len(urls)]}/telegram/webhook"
            try:
                if await self.bot.push(url, update) == 200:
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
            yield Wire(deployment, api, bot)


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

    kept = await _kept(wire)
    decisions = [one async for one in wire.api.pages("/decisions?limit=200")]
    proposed = [one for one in decisions if one["action"] == "conversation.turn"]
    turns = Counter(one["args"]["inbox_id"] for one in proposed)
    assert len(kept) == _UPDATES
    assert set(turns) == {f"said:{one['name']}" for one in kept}
    assert set(turns.values()) == {1}
    for chat in _CHATS:
        said = [one["text"] for one in await _history(wire, chat)]
        arrived = [one["text"] for one in kept if one["chat"] == chat]
        assert said == arrived


async def _send(wire: Wire, updates: list[Any], n: int) -> None:
    for place, update in enumerate(updates):
        await wire.push(update, n + place)


async def _are_all_heard(wire: Wire) -> bool:
    """Whether every text stands in its conversation's history."""
    listed = (await wire.api.get("/conversations?limit=200"))["items"]
    return sum(int(one["messages"]) for one in listed) == 2 * _UPDATES


async def _kept(wire: Wire) -> list[dict[str, Any]]:
    """The updates as the gateways kept them, in order of arrival."""
    async with direct_client(wire.deployment.mongo.address, 5) as client:
        found = (
            client[DATABASE].door_records.find({"kind": "update"}).sort("arrival", 1)
        )
        return [_update(one["body"], one["name"]) async for one in found]


def _update(body: str, name: str) -> dict[str, Any]:
    raw = DoorRecord.model_validate_json(body).body["raw"]["message"]
    return {"name": name, "chat": raw["chat"]["id"], "text": raw["text"]}


async def _history(wire: Wire, chat: int) -> list[Any]:
    listed = (await wire.api.get("/conversations?limit=200"))["items"]
    owner = {one["id"]: one for one in listed}
    for id_ in owner:
        path = f"/conversations/{id_}/messages?limit=200"
        said = [one async for one in wire.api.pages(path) if one["role"] == "user"]
        if said and int(said[0]["text"].split()[1]) % len(_CHATS) == chat - _CHATS[0]:
            return said

    return []
