"""How the guarded client calls: to checked addresses only, redirects by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from contracts import AnswerUnusable, CallRefused, SluicegateError
from runs.effects.guarded_http import GuardedHttp, HttpCall, HttpPolicy
from tests.support.http_sink import (
    TLS_NAME,
    HttpSink,
    answer,
    redirect,
    trusting_tls,
)

LOOPBACK = HttpPolicy(allow_private=("127.0.0.0/8",), timeout_s=5.0)


class Names:
    """A resolver that answers from a table and counts what it is asked."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._addresses.get(host.partition(".")[0], ("127.0.0.1",))


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as sink:
        yield sink


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    async with GuardedHttp(LOOPBACK, lookup=Names(inner=["10.0.0.1"])) as http:
        yield http


async def test_a_call_brings_its_request_over_and_the_answer_back(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.script("/tickets", answer(201, b'{"id":1}', {"X-Kind": "ticket"}))
    call = HttpCall("POST", url + "?a=b%20c", {"X-Key": "k"}, b"body")
    got = await http.call(call)
    assert (got.status, got.body, got.headers["x-kind"]) == (201, b'{"id":1}', "ticket")
    assert got.final_url == url + "?a=b%20c"
    assert 0 < got.elapsed < 5
    [received] = sink.requests
    assert (received.method, received.body) == ("POST", b"body")
    assert received.query == {"a": "b c"}
    assert received.headers["x-key"] == "k"
    assert received.headers["user-agent"] == "sluicegate"


@pytest.mark.parametrize("status", [204, 301, 400, 404, 408, 425, 429, 500, 503])
async def test_every_status_is_an_answer(
    sink: HttpSink, http: GuardedHttp, status: int
) -> None:
    url = sink.script("/", answer(status, headers={"Retry-After": "7"}))
    got = await http.call(HttpCall("POST", url))
    assert (got.status, got.headers["retry-after"]) == (status, "7")


async def test_a_host_is_resolved_once_and_named_in_the_request(
    sink: HttpSink,
) -> None:
    names = Names()
    async with GuardedHttp(LOOPBACK, lookup=names) as http:
        await http.call(HttpCall("GET", sink.url("/", "api.test")))

    assert names.asked == ["api.test"]
    assert sink.requests[0].headers["host"] == f"api.test:{sink.port}"


async def test_one_inner_address_refuses_the_whole_host(sink: HttpSink) -> None:
    names = Names(mixed=["127.0.0.1", "10.0.0.1"])
    async with GuardedHttp(LOOPBACK, lookup=names) as http:
        refused = await _refused(http, HttpCall("GET", sink.url("/", "mixed.test")))

    assert refused.code == "address_not_allowed"
    assert not sink.requests


async def test_a_name_that_changes_its_address_is_checked_again(
    sink: HttpSink,
) -> None:
    turns = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def rebinding(_host: str) -> Sequence[str]:
        return next(turns)

    call = HttpCall("GET", sink.url("/", "rebind.test"))
    async with GuardedHttp(LOOPBACK, lookup=rebinding) as http:
        assert (await http.call(call)).status == 200
        assert (await _refused(http, call)).code == "address_not_allowed"


async def test_a_listed_name_may_be_called_wherever_it_is(sink: HttpSink) -> None:
    policy = HttpPolicy(allow_private=("Intern.Test",))
    names = Names(metadata=["169.254.169.254"])
    async with GuardedHttp(policy, lookup=names) as http:
        got = await http.call(HttpCall("GET", sink.url("/", "intern.test")))
        other = await _refused(http, HttpCall("GET", sink.url("/", "other.test")))

    assert got.status == 200
    assert other.code == "address_not_allowed"


async def test_a_listed_name_does_not_lead_to_metadata() -> None:
    policy = HttpPolicy(allow_private=("intern.test",))
    names = Names(intern=["169.254.169.254"])
    async with GuardedHttp(policy, lookup=names) as http:
        refused = await _refused(http, HttpCall("GET", "http://intern.test/"))

    assert refused.code == "address_not_allowed"


async def test_tls_is_made_out_to_the_name_and_not_to_the_address() -> None:
    async with (
        HttpSink(tls=True) as sink,
        GuardedHttp(LOOPBACK, lookup=Names(), tls=trusting_tls()) as http,
    ):
        got = await http.call(HttpCall("GET", sink.url("/", TLS_NAME)))

    assert got.status == 200
    assert sink.server_names == [TLS_NAME]


async def test_the_environment_names_no_proxy_and_no_credentials(
    sink: HttpSink, http: GuardedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert (await http.call(HttpCall("GET", sink.url()))).status == 200
    assert "authorization" not in sink.requests[0].headers


async def test_cookies_are_not_kept(sink: HttpSink, http: GuardedHttp) -> None:
    url = sink.script("/", answer(headers={"Set-Cookie": "a=b"}))
    await http.call(HttpCall("GET", url))
    await http.call(HttpCall("GET", url))
    assert "cookie" not in sink.requests[1].headers


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("X-A", "a\r\nX-B: b", "forbidden_character"),
        ("X-A", "a\nb", "forbidden_character"),
        ("X-A", "a\x00", "forbidden_character"),
        ("X-A", "\ud800", "forbidden_character"),
        ("X A", "a", "forbidden_character"),
        ("X-A:", "a", "forbidden_character"),
        ("", "a", "forbidden_character"),
        ("Host", "inner.test", "invalid"),
        ("content-length", "0", "invalid"),
        ("Transfer-Encoding", "chunked", "invalid"),
        ("Connection", "keep-alive", "invalid"),
    ],
)
async def test_a_header_cannot_change_the_request(
    sink: HttpSink, http: GuardedHttp, name: str, value: str, code: str
) -> None:
    for call in (
        HttpCall("GET", sink.url(), headers={name: value}),
        HttpCall(
            "GET",
            sink.url(),
            credential_headers={name: value},
            credential_hosts=("127.0.0.1",),
        ),
    ):
        assert (await _refused(http, call)).code == code

    assert not sink.requests


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "get", "GET / HTTP/1.1\r\n"])
async def test_only_plain_methods_are_called(
    sink: HttpSink, http: GuardedHttp, method: str
) -> None:
    assert (await _refused(http, HttpCall(method, sink.url()))).code == "invalid"
    assert not sink.requests


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_reading_call_follows_a_redirect(
    sink: HttpSink, http: GuardedHttp, method: str, status: int
) -> None:
    url = sink.script("/a/b", redirect("../c?d=e", status))
    got = await http.call(HttpCall(method, url))
    assert got.final_url == sink.url("/c?d=e")
    assert [each.method for each in sink.requests] == [method, method]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_redirect_of_a_writing_call_is_its_answer(
    sink: HttpSink, http: GuardedHttp, method: str
) -> None:
    url = sink.script("/", redirect("/c", 307))
    got = await http.call(HttpCall(method, url, body=b"x"))
    assert (got.status, got.headers["location"]) == (307, "/c")
    assert len(sink.requests) == 1


async def test_a_redirect_that_says_not_where_is_an_answer(
    sink: HttpSink, http: GuardedHttp
) -> None:
    got = await http.call(HttpCall("GET", sink.script("/", answer(302))))
    assert got.status == 302


async def test_three_redirects_are_followed_and_not_a_fourth(
    sink: HttpSink, http: GuardedHttp
) -> None:
    for number in range(4):
        sink.script(f"/{number}", redirect(f"/{number + 1}"))

    assert (await http.call(HttpCall("GET", sink.url("/1")))).status == 200
    sink.requests.clear()
    with pytest.raises(AnswerUnusable) as unusable:
        await http.call(HttpCall("GET", sink.url("/0")))

    assert unusable.value.code == "too_many_redirects"
    assert len(sink.requests) == 4


async def test_twenty_redirects_stop_at_the_third(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.script("/", redirect("/"))
    with pytest.raises(AnswerUnusable):
        await http.call(HttpCall("GET", url))

    assert len(sink.requests) == 4


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://10.0.0.1/", "address_not_allowed"),
        ("//10.0.0.1/", "address_not_allowed"),
        ("http://0xa000001/", "address_not_allowed"),
        ("http://169.254.169.254/latest/meta-data/", "address_not_allowed"),
        ("http://[::ffff:10.0.0.1]/", "address_not_allowed"),
        ("http://inner.test/", "address_not_allowed"),
        ("http://8.8.8.8:6379/", "address_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("gopher://127.0.0.1/", "scheme_not_allowed"),
        ("http://good@127.0.0.1/", "invalid_url"),
        ("http:\\\\10.0.0.1/", "invalid_url"),
        ("\\\\10.0.0.1/", "invalid_url"),
        ("/\\10.0.0.1/", "invalid_url"),
        ("http:10.0.0.1", "invalid_url"),
        ("http://", "invalid_url"),
        ("///", "invalid_url"),
        ("//[::1", "invalid_url"),
    ],
)
async def test_every_hop_is_checked(
    sink: HttpSink, http: GuardedHttp, location: str, code: str
) -> None:
    url = sink.script("/", redirect(location))
    refused = await _refused(http, HttpCall("GET", url))
    assert refused.code == code
    assert refused.sent
    assert len(sink.requests) == 1


async def test_a_redirect_does_not_leave_https() -> None:
    async with (
        HttpSink(tls=True) as sink,
        HttpSink() as plain,
        GuardedHttp(LOOPBACK, lookup=Names(), tls=trusting_tls()) as http,
    ):
        sink.script("/", redirect(plain.url()))
        refused = await _refused(http, HttpCall("GET", sink.url("/", TLS_NAME)))

    assert refused.code == "scheme_not_allowed"
    assert not plain.requests


async def test_a_credential_stays_with_its_origin(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.script("/", redirect("/next"))
    await http.call(_with_credential(url))
    assert [each.headers["authorization"] for each in sink.requests] == ["secret"] * 2


async def test_a_credential_is_dropped_for_good_on_the_way_to_another_origin(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.script("/", redirect(sink.url("/other", "other.test")))
    sink.script("/other", redirect(sink.url("/back")))
    await http.call(_with_credential(url, "127.0.0.1", "other.test"))
    first, *later = sink.requests
    assert first.headers["authorization"] == "secret"
    assert [each.path for each in later] == ["/other", "/back"]
    for each in later:
        assert not {"authorization", "x-api-key", "cookie"} & set(each.headers)
        assert each.headers["accept"] == "text/plain"


async def test_another_port_is_another_origin(
    sink: HttpSink, http: GuardedHttp
) -> None:
    async with HttpSink() as other:
        sink.script("/", redirect(other.url()))
        await http.call(_with_credential(sink.url()))

    assert "authorization" not in other.requests[0].headers


async def test_a_credential_is_not_sent_to_a_host_it_is_not_for(
    sink: HttpSink, http: GuardedHttp
) -> None:
    refused = await _refused(http, _with_credential(sink.url(), "api.test"))
    assert refused.code == "address_not_allowed"
    assert not sink.requests


async def test_a_credential_may_be_bound_to_a_port(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.url()
    await http.call(_with_credential(url, f"127.0.0.1:{sink.port}"))
    await _refused(http, _with_credential(url, "127.0.0.1:1"))
    assert len(sink.requests) == 1


def test_a_credential_is_not_shown() -> None:
    assert "secret" not in repr(_with_credential("http://a.test/"))


def _with_credential(url: str, *hosts: str) -> HttpCall:
    return HttpCall(
        "GET",
        url,
        headers={"X-Api-Key": "key", "Cookie": "a=b", "Accept": "text/plain"},
        credential_headers={"Authorization": "secret"},
        credential_hosts=hosts or ("127.0.0.1",),
    )


async def _refused(http: GuardedHttp, call: HttpCall) -> CallRefused:
    with pytest.raises(SluicegateError) as refused:
        await http.call(call)

    assert isinstance(refused.value, CallRefused)
    return refused.value
