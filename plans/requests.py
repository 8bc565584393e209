"""Requests: what an http tool sends, with its input filled into its definition."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from pydantic import JsonValue

from contracts import InvalidInput, JsonObject, canonical
from contracts.definitions import HttpCallSpec
from plans.expressions import Template, compile_template, in_header, in_url

_NAMES = ("input",)
_KEPT = 512


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as the definition and the input make it."""

    method: str
    url: str
    headers: dict[str, str]
    body: JsonValue
    """JSON; None is no body."""


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A compiled request; its host is fixed."""

    method: str
    url: Template
    headers: Template
    query: Template
    body: Template

    def render(self, given: JsonObject) -> HttpRequest:
        """The request for this input.

        What the input brings into the URL or a header is escaped for that place; a
        parameter that is null is left out, one that is a list stands once an item.
        Raises InvalidInput if an expression fails.
        """
        values = {"input": given}
        headers = self.headers.render(values, in_header)
        query = self.query.render(values)
        return HttpRequest(
            method=self.method,
            url=_with_query(_text(self.url.render(values, in_url)), query),
            headers={k: _text(v) for k, v in _pairs(headers) if v is not None},
            body=self.body.render(values),
        )


def compile_request(spec: HttpCallSpec) -> RequestTemplate:
    """The template of a tool's request; kept for the next asker.

    Raises InvalidInput whose ``problems`` point into the specification.
    """
    return _compiled(canonical(spec.plain()))


@lru_cache(maxsize=_KEPT)
def _compiled(plain: bytes) -> RequestTemplate:
    spec = json.loads(plain)
    parts = {name: spec[name] for name in ("url", "headers", "query", "body")}
    compile_template(parts, _NAMES)
    compiled = {name: compile_template(part, _NAMES) for name, part in parts.items()}
    return RequestTemplate(method=spec["method"], **compiled)


def _with_query(url: str, query: JsonValue) -> str:
    pairs = [(key, one) for key, value in _pairs(query) for one in _listed(value)]
    if not pairs:
        return url

    url, mark, fragment = url.partition("#")
    said = "&".join(f"{_quoted(key)}={_quoted(_text(value))}" for key, value in pairs)
    return f"{url}{'&' if '?' in url else '?'}{said}{mark}{fragment}"


def _pairs(value: JsonValue) -> list[tuple[str, JsonValue]]:
    return list(value.items()) if isinstance(value, dict) else []


def _listed(value: JsonValue) -> list[JsonValue]:
    if value is None:
        return []

    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value).decode()


def _quoted(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InvalidInput("A parameter holds half a character.") from error
