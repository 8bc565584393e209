"""A server on loopback that speaks the Bot API as a script tells it.

It keeps every call with its time; what it was told to fail, it fails once each.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import anyio
from aiohttp import web

TOKEN = "7:TEST-TOKEN"
SECRET = "hook-secret_1"


class Call(NamedTuple):
    """One call of a method."""

    method: str
    given: dict[str, Any]
    at: float
    is_good: bool


@dataclass(frozen=True)
class Fault:
    """How the next call of a method fails."""

    code: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, Any] = field(default_factory=dict)
    loses_reply: bool = False
    """It is done, and the connection is cut before the answer."""

    html: bool = False
    """Something in between answers."""


@dataclass
class BotApiServer:
    """The server while it runs."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    faults: dict[tuple[str, int | None], deque[Fault]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    updates: list[dict[str, Any]] = field(default_factory=list)
    """What getUpdates has to give."""

    came: asyncio.Event = field(default_factory=asyncio.Event)
    webhook: str = ""
    pollers: int = 0
    last_message: int = 0

    def fail(self, method: str, *faults: Fault, chat_id: int | None = None) -> None:
        """The next calls of a method, to one chat or to any, fail like this."""
        self.faults[method, chat_id].extend(faults)

    def sent(self, chat_id: int) -> list[str]:
        """The texts that arrived in a chat, in their order."""
        return [
            one.given["text"]
            for one in self.calls
            if one.method == "sendMessage"
            and one.is_good
            and one.given["chat_id"] == chat_id
        ]

    def of(self, method: str) -> list[Call]:
        """The calls of a method."""
        return [one for one in self.calls if one.method == method]

    def put(self, *updates: dict[str, Any]) -> None:
        """Let getUpdates give these too."""
        self.updates.extend(updates)
        self.came.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        method = request.match_info["method"]
        if request.match_info["token"] != TOKEN:
            return _told(401, "Unauthorized")

        given = await request.json()
        fault = self._fault(method, given.get("chat_id"))
        is_good = fault is None or fault.loses_reply
        self.calls.append(Call(method, given, time.monotonic(), is_good))
        if fault is not None:
            return await self._failed(request, fault)

        if method == "getUpdates":
            return await self._updates(given)

        if method in ("setWebhook", "deleteWebhook"):
            self.webhook = given.get("url", "")
            return web.json_response({"ok": True, "result": True})

        return web.json_response({"ok": True, "result": self._result(method, given)})

    async def push(self, url: str, update: Any, secret: str = SECRET) -> int:
        """Bring an update to a webhook, as Telegram does; the status."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=update, headers=headers) as response,
        ):
            return response.status

    def _fault(self, method: str, chat_id: int | None) -> Fault | None:
        for key in ((method, chat_id), (method, None)):
            if self.faults.get(key):
                return self.faults[key].popleft()

        return None

    async def _failed(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.loses_reply:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        if fault.html:
            return web.Response(status=fault.code, text="<html>Bad Gateway</html>")

        return _told(fault.code, fault.description, fault.parameters)

    def _result(self, method: str, given: dict[str, Any]) -> Any:
        if method == "getMe":
            return {"id": 7, "is_bot": True, "username": "sluice_bot"}

        if method == "sendMessage":
            self.last_message += 1
            chat = {"id": given["chat_id"]}
            return {"message_id": self.last_message, "chat": chat, "date": 0}

        return True

    async def _updates(self, given: dict[str, Any]) -> web.StreamResponse:
        """What is new after the offset; a second poller is told so."""
        if self.webhook or self.pollers:
            told = "Conflict: terminated by other getUpdates request"
            return _told(409, told)

        self.pollers += 1
        try:
            offset = given.get("offset") or 0
            self.updates = [one for one in self.updates if one["update_id"] >= offset]
            if not self.updates:
                self.came.clear()
                with anyio.move_on_after(0.2):
                    await self.came.wait()
        finally:
            self.pollers -= 1

        return web.json_response({"ok": True, "result": self.updates[:100]})


def _told(
    code: int, description: str, parameters: dict[str, Any] | None = None
) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters

    return web.json_response(body, status=code)


@asynccontextmanager
async def bot_api_server() -> AsyncIterator[BotApiServer]:
    """The server on a free port; ``url`` is what a client takes as its base."""
    app = web.Application()
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    server = BotApiServer()
    app.router.add_post("/bot{token}/{method}", server.answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def message(update_id: int, chat_id: int, text: str, **more: Any) -> dict[str, Any]:
    """An update with a text; of the person whose private chat it is."""
    sender = {"id": abs(chat_id), "is_bot": False, "first_name": "Ada"}
    return {
        "update_id": update_id,
        "message": {
            "message_id": update_id,
            "date": 1,
            "chat": {"id": chat_id, "type": "private" if chat_id > 0 else "group"},
            "from": {**sender, **more.pop("sender", {})},
            "text": text,
            **more,
        },
    }


def press(update_id: int, chat_id: int, data: str, message_id: int) -> dict[str, Any]:
    """An update of a button that was pressed."""
    chat = {"id": chat_id, "type": "private"}
    return {
        "update_id": update_id,
        "callback_query": {
            "id": f"cb{update_id}",
            "from": {"id": chat_id, "is_bot": False, "first_name": "Bob"},
            "chat_instance": "1",
            "data": data,
            "message": {"message_id": message_id, "date": 1, "chat": chat},
        },
    }
