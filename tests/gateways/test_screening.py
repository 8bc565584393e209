"""Requests nothing is looked up for: their form, their host, what they accept."""

from __future__ import annotations

import pytest

from contracts import LIMITS
from tests.support.doorway import Doorway, Told, told

PATHS: dict[str, tuple[str, int, str]] = {
    "H1 unknown": ("/api/v1/nothing", 404, "route_not_found"),
    "H1 trailing slash": ("/api/v1/tools/", 404, "route_not_found"),
    "H1 double slash": ("/api/v1//tools", 404, "route_not_found"),
    "H1 double slash first": ("//api/v1/tools", 404, "route_not_found"),
    "H1 dots": ("/api/v1/runs/../tools", 404, "route_not_found"),
    "H16": ("/" + "a" * 9_000, 414, "uri_too_long"),
    "H16 64 KiB": ("/" + "a" * 65_536, 414, "uri_too_long"),
    "H17 NUL": ("/api/v1/tools/%00", 400, "invalid_path"),
    "H17 escaped dots": ("/api/v1/tools/%2e%2e%2fx", 400, "invalid_id"),
    "H17 backslash": ("/api/v1/tools/..\\x", 400, "invalid_path"),
    "H17 escaped backslash": ("/api/v1/tools/..%5cx", 400, "invalid_path"),
    "H17 overlong": ("/api/v1/tools/%c0%ae", 400, "invalid_path"),
    "H17 no digits": ("/api/v1/tools/%zz", 400, "invalid_path"),
    "H17 cut off": ("/api/v1/tools/a%", 400, "invalid_path"),
    "E21 line break": ("/api/v1/tools/a%0d%0aX-Evil:%20b", 400, "invalid_path"),
    "K2 zero width": ("/api/v1/tools/a%e2%80%8bb", 400, "invalid_id"),
}


@pytest.mark.parametrize("case", PATHS)
async def test_a_path_that_no_route_has_is_told_so(shared: Doorway, case: str) -> None:
    path, status, code = PATHS[case]

    answer = await _get(shared, path)

    assert (answer.status, answer.code) == (status, code)
    assert "x-evil" not in answer.headers


async def test_a_name_of_any_script_is_no_odd_path(shared: Doorway) -> None:
    answer = await _get(shared, "/api/v1/tools/%E6%97%A5%E6%9C%AC")

    assert (answer.status, answer.code) == (404, "not_found")


HOSTS = {
    "E9 another": ("Host: evil.example", 421),
    "E9 two": ("Host: localhost\r\nHost: evil.example", 421),
    "E9 none": ("X-Nothing: 1", 421),
    "empty": ("Host: ", 421),
    "with somebody in front": ("Host: localhost@evil.example", 421),
    "as a prefix": ("Host: localhost.evil.example", 421),
    "with a port": ("Host: localhost:8080", 200),
    "in capitals": ("Host: LOCALHOST", 200),
    "IPv6": ("Host: [::1]:80", 200),
}


@pytest.mark.parametrize("case", HOSTS)
async def test_only_hosts_of_ours_are_answered(shared: Doorway, case: str) -> None:
    header, status = HOSTS[case]

    answer = await _get(shared, "/healthz", host=header)

    assert answer.status == status
    assert status == 200 or answer.code == "unknown_host"


@pytest.mark.parametrize("target", ["http://evil.example/", "http://localhost/healthz"])
async def test_a_whole_url_as_target_is_no_path_of_ours(
    shared: Doorway, target: str
) -> None:
    answer = await _get(shared, target)

    assert (answer.status, answer.code) == (421, "unknown_host")


ACCEPTED = {
    "H23": ("application/xml", 406),
    "text": ("text/html", 406),
    "none of it": ("application/json;q=0, image/png", 406),
    "everything": ("*/*", 200),
    "a browser": ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
    "JSON among others": ("text/html, Application/JSON;q=0.5", 200),
    "every application": ("application/*", 200),
    "nothing": ("", 200),
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_what_cannot_be_answered_so_is_not_answered(
    shared: Doorway, case: str
) -> None:
    accept, status = ACCEPTED[case]

    answer = await shared.api.call("GET", "/version", headers={"Accept": accept})

    assert answer.status == status
    assert status == 200 or answer.code == "not_acceptable"


async def test_measures_are_text_for_who_asks_for_text(shared: Doorway) -> None:
    headers = {"Accept": "text/plain"}

    answer = await shared.api.call("GET", "/../../metrics", headers=headers)

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("method", ["DELETE", "TRACE", "PROPFIND", "POST"])
async def test_a_method_that_a_route_lacks_is_told_with_those_it_has(
    shared: Doorway, method: str
) -> None:
    answer = told(await shared.raw(_request(shared, method, "/api/v1/version")))

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_nobody_is_connected_on(shared: Doorway) -> None:
    raw = await shared.raw(_request(shared, "CONNECT", "127.0.0.1:80"))

    answer = told(raw)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_options_tell_what_a_route_takes(shared: Doorway) -> None:
    answer = await shared.api.call("OPTIONS", "/decisions")

    assert answer.status == 204
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/version", "/runs", "/../../healthz"])
async def test_a_head_is_answered_like_a_get_without_its_body(
    shared: Doorway, path: str
) -> None:
    get = await shared.api.call("GET", path)
    head = await shared.api.call("HEAD", path)

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


async def test_a_page_of_another_site_changes_nothing(doorway: Doorway) -> None:
    body = {"action": "workflow.run", "args": {"workflow": "greet"}}
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    answer = await doorway.api.call("POST", "/decisions", body, headers=headers)

    assert (answer.status, answer.code) == (403, "cross_site_request")
    assert doorway.gate.asked == []


FRAMING = {
    "H11 both lengths": (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "H11 two lengths": "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "H11 unknown coding": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "E21 bare line feed": "X-A: a\nX-B: b\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("case", FRAMING)
async def test_what_could_be_read_in_two_ways_is_not_read(
    doorway: Doorway, case: str
) -> None:
    head = (
        f"POST /api/v1/decisions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {doorway.key}\r\nContent-Type: application/json\r\n"
    )

    answer = told(await doorway.raw((head + FRAMING[case]).encode()))

    assert (answer.status, answer.code) == (400, "bad_framing")
    assert doorway.gate.asked == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\xff\xfe\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
    ],
    ids=["H25 TLS", "H25 garbage", "H25 HTTP/9.9", "H25 SSH"],
)
async def test_what_is_no_http_is_answered_once_and_closed(
    shared: Doorway, data: bytes
) -> None:
    answer = told(await shared.raw(data))

    assert (answer.status, answer.code) == (400, "bad_framing")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_header_beyond_its_limit_is_refused(shared: Doorway) -> None:
    answer = await _get(shared, "/healthz", host=f"X-A: {'a' * 2**20}")

    assert (answer.status, answer.code) == (431, "headers_too_large")


async def test_the_limits_are_shown_by_their_names(shared: Doorway) -> None:
    assert await shared.api.get("/limits") == LIMITS
    assert await shared.api.get("/system/limits") == LIMITS


async def _get(doorway: Doorway, path: str, host: str = "Host: localhost") -> Told:
    return told(await doorway.raw(_request(doorway, "GET", path, host)))


def _request(
    doorway: Doorway, method: str, path: str, host: str = "Host: localhost"
) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\n{host}\r\n"
        f"Authorization: Bearer {doorway.key}\r\nConnection: close\r\n\r\n"
    ).encode()
