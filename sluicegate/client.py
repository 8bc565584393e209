"""A small synchronous client of the HTTP API, for the command line.

It uses the standard library only, so that a command starts quickly.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from contracts import (
    ConfigurationError,
    JsonObject,
    PermanentError,
    TemporaryError,
)

_STREAM_TIMEOUT_S = 60.0
_LONGEST_WAIT_S = 60.0


class Response(NamedTuple):
    """Status and JSON body of an answer."""

    status: int
    body: Any
    headers: dict[str, str]


class Event(NamedTuple):
    """One server-sent event."""

    id: str
    type: str
    data: Any


class Client:
    """Talks to the service at one address with one key."""

    def __init__(self, url: str, key: str) -> None:
        """Raises ConfigurationError for what is no address of a service."""
        self._url = urllib.parse.urlsplit(url)
        self._key = key
        self.url = url
        if self._url.scheme not in _KINDS or not self._url.hostname:
            raise ConfigurationError(
                f"{url!r} is no address of a service; one is http://127.0.0.1:8080"
            )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 70.0,
    ) -> Response:
        """One request. Raises TemporaryError if nothing answers."""
        connection = self._connection(timeout_s)
        data = None if body is None else json.dumps(body).encode()
        sent = {**self._headers(), **(headers or {})}
        if data is not None:
            sent["Content-Type"] = "application/json"

        try:
            connection.request(method, _target(path, query), data, sent)
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

        return Response(answer.status, self._json(raw), dict(answer.headers))

    def pages(
        self, path: str, query: dict[str, Any], most: int
    ) -> Iterator[JsonObject]:
        """The items of a list, page by page, at most so many."""
        cursor: str | None = None
        left = most
        while left > 0:
            asked = {**query, "limit": min(left, 200), "cursor": cursor}
            answer = self.call("GET", path, query=asked)
            if answer.status != 200:
                raise refused(answer)

            yield from answer.body["items"]
            left -= len(answer.body["items"])
            cursor = answer.body["next_cursor"]
            if cursor is None:
                return

    def events(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """The events of a run, live, to its end; the last one is ``end``.

        A stream that was cut because we were slow is taken up again.
        Raises TemporaryError if it breaks off, PermanentError if it is refused.
        """
        path = f"/api/v1/runs/{run_id}/events"
        while True:
            for event in self._stream("GET", _target(path, {"after": after})):
                if event.type == "error":
                    raise refused(Response(200, event.data, {}))

                if event.type == "overflow":
                    break

                yield event
                after = int(event.id) if event.id else after
                if event.type == "end":
                    return
            else:
                raise TemporaryError(f"The stream from {self.url} broke off.")

    def say(self, conversation: str, text: str, timeout_s: float) -> Iterator[Event]:
        """Say something; ``delta`` events, then ``reply``, ``error`` or ``open``.

        Raises TemporaryError if the stream breaks off, PermanentError if it is refused.
        """
        path = f"/api/v1/conversations/{conversation}/messages"
        body = {"text": text, "timeout_s": min(timeout_s, _LONGEST_WAIT_S)}
        yield from self._stream("POST", _target(path, None), body)

    def _stream(self, method: str, target: str, body: Any = None) -> Iterator[Event]:
        connection = self._connection(_STREAM_TIMEOUT_S)
        headers = {**self._headers(), "Accept": "text/event-stream"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"

        try:
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            if answer.status == 204:
                yield Event("", "end", {})
                return

            if answer.status != 200:
                raise refused(Response(answer.status, self._json(answer.read()), {}))

            yield from _parse(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _json(self, raw: bytes) -> Any:
        try:
            return json.loads(raw) if raw else None
        except ValueError as error:
            raise PermanentError(
                f"What answers at {self.url} is not Sluicegate: {raw[:40]!r}",
                code="upstream_invalid",
            ) from error

    def _unreachable(self, error: Exception) -> TemporaryError:
        said = str(error) or type(error).__name__
        return TemporaryError(f"Nothing answers at {self.url}: {said}")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        kind = _KINDS[self._url.scheme]
        return kind(self._url.hostname or "", self._url.port, timeout=timeout_s)


_KINDS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}


def refused(answer: Response) -> PermanentError:
    """The problem that the service answered with, as an error."""
    told = answer.body if isinstance(answer.body, dict) else {}
    return PermanentError(
        str(told.get("detail", f"HTTP status {answer.status}")),
        code=str(told.get("code", "internal")),
        details=told,
    )


def find_client(data_dir: Path, *, url: str = "", key: str = "") -> Client:
    """The client of the running service.

    Address and key come from the arguments, the environment (``SLUICEGATE_URL``,
    ``SLUICEGATE_KEY``), or the files that the service keeps in ``data_dir``.
    """
    found_url = url or os.environ.get("SLUICEGATE_URL", "")
    found_key = key or os.environ.get("SLUICEGATE_KEY", "")
    return Client(
        found_url or _kept(data_dir / "service.url") or "http://127.0.0.1:8080",
        found_key or _kept(data_dir / "admin.key"),
    )


def _kept(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _target(path: str, query: dict[str, Any] | None) -> str:
    given = {k: v for k, v in (query or {}).items() if v is not None}
    quoted = urllib.parse.quote(path)
    return f"{quoted}?{urllib.parse.urlencode(given)}" if given else quoted


def _parse(lines: http.client.HTTPResponse) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            event = fields.get("event", "message")
            yield Event(fields.get("id", ""), event, json.loads(fields["data"]))
            fields = {}
