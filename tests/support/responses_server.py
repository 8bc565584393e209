"""A server on loopback that speaks the Responses API as a script tells it.

What it answers is written down as bytes by the pure functions below, so that a test
can cut them anywhere; what it was asked is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import SecretStr

Event = Mapping[str, Any]

RESPONSE_ID = "resp_1"
MODEL = "model-1"


@dataclass(frozen=True)
class Reply:
    """One answer: its status and headers, and its body piece by piece."""

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    """Between two pieces."""

    hangs: bool = False
    """After the last piece it says nothing more, and keeps the connection."""

    breaks: bool = False
    """After the last piece the connection is cut."""


@dataclass
class ResponsesServer:
    """The server while it runs."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The body of each request, in their order."""

    headers: list[Mapping[str, str]] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    """The next answers; the last one is given again and again."""

    open: int = 0
    most_at_once: int = 0
    """How many answers were under way at the same time."""

    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went before its answer was whole."""

    freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def settings(self) -> dict[str, Any]:
        """``[llm]`` of a service that asks this server."""
        return {
            "provider": "openai_responses",
            "model": "model-1",
            "api_key": SecretStr("sk-test"),
            "base_url": self.url,
        }

    def will(self, *replies: Reply) -> None:
        """From now on these are the answers."""
        self.replies = deque(replies)

    def let_go(self) -> None:
        """Cut off what hangs, and answer from now on, so that a client can close."""
        self.will(says("Hello"))
        self.freed.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        reply = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        kind = "text/event-stream" if reply.status == 200 else "application/json"
        response = web.StreamResponse(
            status=reply.status,
            headers={"Content-Type": kind, "x-request-id": "req_1", **reply.headers},
        )
        await response.prepare(request)
        self.open += 1
        self.most_at_once = max(self.most_at_once, self.open)
        try:
            await self._write(request, response, reply)
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        finally:
            self.open -= 1

        return response

    async def _write(
        self, request: web.Request, response: web.StreamResponse, reply: Reply
    ) -> None:
        for piece in reply.pieces:
            await response.write(piece)
            if reply.pause_s:
                await asyncio.sleep(reply.pause_s)

        if reply.hangs:
            await self.freed.wait()
        elif reply.breaks and request.transport is not None:
            request.transport.abort()
        else:
            await response.write_eof()


@asynccontextmanager
async def responses_server(*replies: Reply) -> AsyncIterator[ResponsesServer]:
    """The server on a free port; ``url`` is what a client takes as its base."""
    app = web.Application(client_max_size=2**24)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    server = ResponsesServer("", replies=deque(replies or (says("Hello"),)))
    app.router.add_post("/v1/responses", server.answer)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


def says(text: str, *calls: tuple[str, Any], **more: Any) -> Reply:
    """A whole answer: a text, and calls of functions with arguments."""
    return Reply([sse(event) for event in answer(text, *calls, **more)])


def sse(event: Event) -> bytes:
    """An event as it is sent."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def answer(
    text: str, *calls: tuple[str, Any], usage: Any = None, **terminal: Any
) -> list[Event]:
    """The events of an answer; ``terminal`` is laid over its last one's response."""
    output = [*_texts(text), *_calls(calls)]
    events: list[Event] = [
        {"type": "response.created", "response": {"id": RESPONSE_ID}}
    ]
    for n, item in enumerate(output):
        events += _of_item(n, item)

    told = usage or {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    kind = terminal.pop("type", "response.completed")
    response = {
        "id": RESPONSE_ID,
        "model": MODEL,
        "status": kind.removeprefix("response."),
        "output": output,
        "usage": told,
        **terminal,
    }
    return [*events, {"type": kind, "response": response}]


def _texts(text: str) -> list[dict[str, Any]]:
    if not text:
        return []

    content = [{"type": "output_text", "text": text, "annotations": []}]
    return [{"type": "message", "id": "msg_1", "role": "assistant", "content": content}]


def _calls(calls: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "type": "function_call",
            "id": f"fc_{n}",
            "call_id": f"call_{n}",
            "name": name,
            "arguments": given if isinstance(given, str) else json.dumps(given),
        }
        for n, (name, given) in enumerate(calls, 1)
    ]


def _of_item(n: int, item: dict[str, Any]) -> list[Event]:
    place = {"output_index": n, "item_id": item["id"]}
    begun = {**item, "content": []} if "content" in item else {**item, "arguments": ""}
    events: list[Event] = [
        {"type": "response.output_item.added", **place, "item": begun}
    ]
    if "content" in item:
        text = item["content"][0]["text"]
        delta = {"type": "response.output_text.delta", **place, "content_index": 0}
        events += [{**delta, "delta": text[i : i + 5]} for i in range(0, len(text), 5)]
        done = {"type": "response.output_text.done", **place, "content_index": 0}
        events.append({**done, "text": text})
    else:
        delta = {"type": "response.function_call_arguments.delta", **place}
        events.append({**delta, "delta": item["arguments"]})

    return [*events, {"type": "response.output_item.done", **place, "item": item}]
