"""The HTTP API as a caller sees it: one key, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, NamedTuple, Self

import aiohttp
from anyio.lowlevel import checkpoint

_TIMEOUT_S = 15.0


class Answer(NamedTuple):
    """Status, body (parsed if it is JSON) and headers of an answer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str | None:
        """The code of a problem."""
        return self.body.get("code") if isinstance(self.body, dict) else None

    @property
    def problems(self) -> set[tuple[str, str]]:
        """Where each problem is, with its code."""
        return {(one["pointer"], one["code"]) for one in self.body["errors"]}

    @property
    def codes(self) -> set[str]:
        """The codes of all problems."""
        return {code for _, code in self.problems}


class Api:
    """Talks to one service with one key (or, for an empty one, without)."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str = "") -> None:
        self.url = url
        self._session = session
        self._key = key

    def as_holder_of(self, key: str) -> Self:
        """The same service for somebody with another key."""
        return type(self)(self._session, self.url, key)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request below ``/api/v1``; ``data`` is sent as it is.

        Raises aiohttp.ClientError or TimeoutError if no whole answer comes.
        """
        sent = self._headers() | dict(headers or {})
        raw = data if body is None else json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")

        url = f"{self.url}/api/v1{path}"
        content = None if raw is None else BytesIO(raw)
        async with self._session.request(
            method, url, data=content, headers=sent, allow_redirects=False
        ) as response:
            return Answer(response.status, await _body(response), response.headers)

    async def get(self, path: str) -> Any:
        """The body of a 200."""
        return await self._expected("GET", path)

    async def post(self, path: str, body: Any = None) -> Any:
        """The body of a 2xx."""
        return await self._expected("POST", path, {} if body is None else body)

    async def pages(self, path: str) -> AsyncIterator[Any]:
        """Every item of a list, page by page."""
        sign = "&" if "?" in path else "?"
        page = await self.get(path)
        while True:
            for item in page["items"]:
                yield item

            if page["next_cursor"] is None:
                return

            page = await self.get(f"{path}{sign}cursor={page['next_cursor']}")

    async def run(self, workflow: str, given: Any = None, **more: Any) -> Any:
        """Start a run and wait for its end, or for whatever it waits for."""
        body = {"workflow": workflow, "input": given or {}, "wait": True, **more}
        return await self.post("/runs", body)

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An event stream, closed by leaving the context."""
        sent = self._headers() | {"Accept": "text/event-stream"} | dict(headers or {})
        url = f"{self.url}/api/v1{path}"
        async with self._session.get(url, headers=sent) as response:
            yield response

    async def _expected(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.call(method, path, body)
        assert 200 <= answer.status < 300, f"{method} {path}: {answer}"
        return answer.body

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}


@asynccontextmanager
async def open_api(url: str, key: str = "") -> AsyncIterator[Api]:
    """An API client whose connections end with the context."""
    async with open_session() as session:
        yield Api(session, url, key)


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """As many connections as are asked for; they end with the context."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session

    # the transports are closed by callbacks of the loop
    await checkpoint()


async def _body(response: aiohttp.ClientResponse) -> Any:
    raw = await response.read()
    return json.loads(raw) if raw and "json" in response.content_type else raw
