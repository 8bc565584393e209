"""Requests of http tools: C14, a value is encoded for the place it goes to."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput, read
from contracts.definitions import HttpCallSpec
from plans import HttpRequest, compile_request


def request(given_: dict[str, Any], **spec: Any) -> HttpRequest:
    made = read(HttpCallSpec, {"url": "https://api.example/", **spec})
    return compile_request(made).render(given_)


def test_a_request_is_filled_with_its_input() -> None:
    made = request(
        {"id": 7, "title": "Hello", "tags": ["a", "b"]},
        method="PUT",
        url="https://api.example/tickets/${input.id}",
        headers={"X-Title": "${input.title}", "X-Count": "${size(input.tags)}"},
        query={"tag": "${input.tags}", "all": True, "none": None},
        body={"title": "${input.title}", "tags": "${input.tags}"},
    )

    assert made == HttpRequest(
        method="PUT",
        url="https://api.example/tickets/7?all=true&tag=a&tag=b",
        headers={"X-Count": "2", "X-Title": "Hello"},
        body={"title": "Hello", "tags": ["a", "b"]},
    )


def test_a_query_joins_the_one_in_the_url() -> None:
    made = request({}, url="https://api.example/x?a=1#part", query={"b": "2"})

    assert made.url == "https://api.example/x?a=1&b=2#part"


def test_without_a_body_none_is_sent() -> None:
    assert request({}).body is None


def test_a_missing_input_is_told_as_such() -> None:
    with pytest.raises(InvalidInput) as caught:
        request({}, url="https://api.example/${input.id}")

    assert caught.value.code == "cel_no_such_field"


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(_TEXTS)
def test_text_stays_in_its_segment_of_the_url(text: str) -> None:
    url = urlsplit(request({"x": text}, url="https://api.example/a/${input.x}/b").url)

    assert (url.netloc, url.query, url.fragment) == ("api.example", "", "")
    assert url.path.split("/")[3:] == ["b"]
    assert unquote(url.path.split("/")[2]) == text


@given(_TEXTS, _TEXTS)
def test_text_stays_in_its_parameter(name: str, text: str) -> None:
    url = urlsplit(request({"x": text}, query={name: "${input.x}"}).url)

    assert parse_qsl(url.query, keep_blank_values=True) == [(name, text)]


@given(_TEXTS)
def test_text_in_a_header_is_visible_ascii(text: str) -> None:
    headers = request({"x": text}, headers={"X-Text": "${input.x}"}).headers

    assert headers["X-Text"].isascii()
    assert headers["X-Text"].isprintable() or not headers["X-Text"]
    assert unquote(headers["X-Text"]) == text


@given(_TEXTS)
def test_text_in_a_body_is_the_text(text: str) -> None:
    assert request({"x": text}, body={"t": "${input.x}"}).body == {"t": text}
