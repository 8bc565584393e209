"""HTTP tools: the definition's request, its blanks filled in, made once, guarded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlencode

from pydantic import JsonValue

from contracts import (
    AnswerUnusable,
    CallRefused,
    Clock,
    Fault,
    JsonObject,
    NotSent,
    SentNoAnswer,
    SluicegateError,
    canonical,
)
from contracts.definitions import HttpCallSpec, Tool
from plans.expressions import Escape, Template, compile_template, in_header, in_url
from runs.effects import (
    CallResult,
    Failed,
    Retryable,
    Succeeded,
    Unknown,
    unsuccessful,
)
from runs.effects.guarded_http import GuardedHttp, HttpAnswer, HttpCall
from runs.tools.calling import ToolCall

_LONGEST_RETRY_AFTER_S = 86_400.0
_TEMPLATES_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret header, for these hosts and, if one is named, this subject."""

    header: str
    hosts: tuple[str, ...]
    read: Callable[[], str]
    """Read at each call, so that a rotated file is seen."""

    owner: str = ""


class HttpTools:
    """Executor of tools of kind ``http``.

    The output is the answer's body: JSON as it is, text as ``{"text": …}``, nothing as
    ``{}``. The key travels in the definition's idempotency header.
    """

    def __init__(
        self, http: GuardedHttp, clock: Clock, credentials: Mapping[str, Credential]
    ) -> None:
        self._http = http
        self._clock = clock
        self._credentials = credentials

    async def __call__(self, call: ToolCall) -> CallResult:
        """See Executor."""
        try:
            request = self._request(call)
        except SluicegateError as error:
            return Failed(Fault.of(error))

        return await made(self._http, self._clock, call.tool, request)

    def _request(self, call: ToolCall) -> HttpCall:
        """The request with its blanks filled in. Raises InvalidInput, CallRefused."""
        spec = cast(HttpCallSpec, call.tool.http)
        values = {"input": call.input}
        headers = cast(dict[str, str], _filled(dict(spec.headers), values, in_header))
        body, kind = _body(_filled(spec.body, values))
        if kind and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = kind

        if spec.idempotency_header:
            headers[spec.idempotency_header] = call.key

        credential = self._credential(spec.credential, call)
        return HttpCall(
            method=spec.method,
            url=_url(spec, values),
            headers=headers,
            body=body,
            timeout_s=call.timeout_s,
            credential_headers={credential.header: credential.read()}
            if credential
            else {},
            credential_hosts=credential.hosts if credential else (),
        )

    def _credential(self, name: str | None, call: ToolCall) -> Credential | None:
        if name is None:
            return None

        credential = self._credentials.get(name)
        if credential is None or credential.owner not in ("", call.subject):
            raise CallRefused(f"There is no credential {name!r} for this subject.")

        return credential


class HttpGet:
    """Executor of the builtin ``http_get``: ``url`` and ``headers`` are data."""

    def __init__(self, http: GuardedHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def __call__(self, call: ToolCall) -> CallResult:
        """See Executor."""
        headers = call.input.get("headers") or {}
        request = HttpCall(
            method="GET",
            url=str(call.input.get("url", "")),
            headers={str(name): str(value) for name, value in headers.items()},
            timeout_s=call.timeout_s,
        )
        return await made(self._http, self._clock, call.tool, request)


async def made(
    http: GuardedHttp, clock: Clock, tool: Tool, request: HttpCall
) -> CallResult:
    """Make the request once and say, by the effect table, how the call ended."""
    try:
        answer = await http.call(request)
    except NotSent as error:
        return Retryable(Fault.of(error))
    except SentNoAnswer as error:
        reason = "lost" if error.reason == "reset" else error.reason
        return Unknown(reason, Fault.of(error))
    except CallRefused as error:
        return Failed(Fault.of(error))
    except AnswerUnusable as error:
        return _unusable(tool, error)

    return _answered(clock, tool, answer)


def _answered(clock: Clock, tool: Tool, answer: HttpAnswer) -> CallResult:
    if 200 <= answer.status < 300:
        return _output(answer)

    after_s = _retry_after(clock, answer.headers.get("retry-after"))
    return unsuccessful(tool, answer.status, _fault(answer.status), after_s)


def _output(answer: HttpAnswer) -> Succeeded:
    """The body as JSON; what says it is JSON and is not, is a breach."""
    text = answer.body.decode("utf-8", "replace")
    if not text:
        return Succeeded({})

    if "json" not in answer.headers.get("content-type", ""):
        return Succeeded({"text": text})

    try:
        return Succeeded(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        message = "The tool's answer says it is JSON and is not."
        return Succeeded(None, Fault(code="upstream_invalid", message=message))


def _unusable(tool: Tool, error: AnswerUnusable) -> CallResult:
    """An answer that cannot be read; its status may still tell what was done."""
    fault = Fault.of(error)
    if error.answered is None:
        return Unknown("lost", fault)

    if 200 <= error.answered < 300:
        return Succeeded(None, fault)

    return unsuccessful(tool, error.answered, fault)


def _fault(status: int) -> Fault:
    return Fault(
        code="effect_failed",
        message=f"The tool answered with status {status}.",
        details={"status": status},
    )


def _retry_after(clock: Clock, text: str | None) -> float | None:
    """Seconds a Retry-After asks for, at most a day; None if it does not say."""
    if text is None:
        return None

    try:
        seconds = float(text) if text.isdecimal() else _until(clock, text)
    except (TypeError, ValueError):
        return None

    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)


def _until(clock: Clock, date: str) -> float:
    return (parsedate_to_datetime(date) - clock.now()).total_seconds()


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _url(spec: HttpCallSpec, values: JsonObject) -> str:
    url = str(_filled(spec.url, values, in_url))
    query = cast(JsonObject, _filled(spec.query, values))
    given = {name: _parameter(v) for name, v in query.items() if v is not None}
    if not given:
        return url

    return f"{url}{'&' if '?' in url else '?'}{urlencode(given, doseq=True)}"


def _parameter(value: JsonValue) -> str | list[str]:
    """A value as it stands in a query; a list stands there once per item."""
    if isinstance(value, list):
        return [str(_parameter(item)) for item in value]

    return value if isinstance(value, str) else canonical(value).decode()


def _body(value: JsonValue) -> tuple[bytes | None, str | None]:
    """The bytes of a body and their media type."""
    if value is None:
        return None, None

    if isinstance(value, str):
        return value.encode(), "text/plain; charset=utf-8"

    return json.dumps(value, allow_nan=False).encode(), "application/json"


def _filled(
    value: JsonValue, values: JsonObject, escape: Escape | None = None
) -> JsonValue:
    return _template(json.dumps(value)).render(values, escape)


@lru_cache(maxsize=_TEMPLATES_KEPT)
def _template(text: str) -> Template:
    return compile_template(json.loads(text), ("input",))
