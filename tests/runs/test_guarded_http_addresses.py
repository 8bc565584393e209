"""Which addresses, ports and URLs the guarded client refuses before it sends."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import CallRefused, ConfigurationError
from runs.effects.guarded_http import (
    GuardedHttp,
    HttpCall,
    HttpPolicy,
    parse_target,
    refusal,
)

NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.255 169.254.1.1
    172.16.0.1 192.0.0.9 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1
    203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::169.254.169.254 ::ffff:127.0.0.1 ::ffff:10.0.0.1
    ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
    64:ff9b:1::8.8.8.8 64:ff9b:1:7f00:0:100:: 100::1 2001::1 2001:db8::1
    2001:0:7f00:1:0:0:f7f7:f7f7 2001:0:808:808:0:0:80ff:fffe
    2002:7f00:1:: 2002:a9fe:a9fe:: 3fff::1 4000::1 5f00::1
    fc00::1 fd00::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
    2606:4700::1111%eth0 localhost
""".split()
METADATA = """
    100.100.100.200 168.63.129.16 169.254.169.254 169.254.170.2 192.0.0.192
    fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 64:ff9b::100.100.100.200
    2002:a83f:8110::
""".split()
PUBLIC = """
    1.1.1.1 8.8.8.8 93.184.215.14 100.63.255.255 100.128.0.1 2606:4700::1111
    ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
""".split()


@pytest.mark.parametrize("address", NOT_PUBLIC + METADATA)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(address, HttpPolicy())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert refusal(address, HttpPolicy()) is None


@given(st.integers(0, 0xFF_FFFF).map(lambda low: IPv4Address((10 << 24) | low)))
def test_no_wrapping_makes_an_inner_address_public(inner: IPv4Address) -> None:
    low = int(inner)
    wrapped = (
        low,
        0xFFFF_0000_0000 | low,
        (0x64_FF9B << 96) | low,
        (0x2002 << 112) | (low << 80),
        (0x2001_0000 << 96) | (0x0808_0808 << 64) | (low ^ 0xFFFF_FFFF),
        (0x2001_0000 << 96) | (low << 64) | 0xF7F7_F7F7,
    )
    for number in wrapped:
        assert refusal(str(IPv6Address(number)), HttpPolicy())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12::9"])
def test_a_listed_network_may_be_called(address: str) -> None:
    policy = HttpPolicy(allow_private=("10.0.0.0/8", "fd12::/16"))
    assert refusal(address, policy) is None


def test_a_listed_network_lists_only_itself() -> None:
    assert refusal("10.1.2.3", HttpPolicy(allow_private=("127.0.0.0/8",)))


def test_metadata_is_called_only_if_its_very_address_is_listed() -> None:
    address = "169.254.169.254"
    assert refusal(address, HttpPolicy(allow_private=("169.254.0.0/16",)))
    assert refusal(address, HttpPolicy(allow_private=(address,))) is None


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "a b", "http://a", "*.a", "a:1"])
def test_a_policy_with_an_unreadable_entry_is_not_made(entry: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpPolicy(allow_private=(entry,))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "gopher://a.test/",
        "ftp://a.test/",
        "unix:/run/docker.sock",
        "javascript:alert(1)",
        "data:text/plain,a",
        "ws://a.test/",
        "http+unix://%2Frun%2Fdocker.sock/",
    ],
)
def test_a_scheme_other_than_http_is_refused(url: str) -> None:
    assert _code_of(url) == "scheme_not_allowed"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.test/",
        "//a.test/",
        "http:a.test",
        "http:/a.test",
        "http:///a",
        "http://",
        "http://:80/",
        "http://good@evil.test/",
        "http://good:pass@evil.test/",
        "http://@evil.test/",
        "http://good.test\\@evil.test/",
        "http://good.test\\.evil.test/",
        "http:\\\\evil.test/",
        "http://a.test/\\b",
        "http://good.test#@evil.test/",
        "http://go\tod.test/",
        "http://go\nod.test/",
        "http://a.test/\r\nHost: b",
        "http://a.test/\x00",
        "http://a.test/\x7f",
        "http://a.test/\u2028",
        "http://a.test/\ud800",
        "http://a b.test/",
        " http://a.test/",
        "http://a.test/ ",
        "http://a%2etest/",
        "http://a%00.test/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        "http://[1.2.3.4]/",
        "http://a.test:0/",
        "http://a.test:/",
        "http://a.test:+80/",
        "http://a.test:-1/",
        "http://a.test:65536/",
        "http://a.test:\uff18\uff10/",
        "http://a..test/",
        "http://.test/",
        "http://a,b.test/",
        "http://1.2.3.4.5/",
        "http://256.256.256.256/",
        "http://4294967296/",
        "http://08.8.8.8/",
        "http://" + "a" * 64 + ".test/",
        "http://" + "a." * 130 + "test/",
        "http://a.test/" + "a" * 10_240,
    ],
)
def test_a_url_that_could_be_read_in_two_ways_is_invalid(url: str) -> None:
    assert _code_of(url) == "invalid_url"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://API.example/a?b=c#d", "api.example", 80),
        ("https://api.example.:8443", "api.example", 8443),
        ("https://api.example?a=b", "api.example", 443),
        ("https://a_b.example/x y", "a_b.example", 443),
        ("https://例え.jp/", "xn--r8jz45g.jp", 443),
        ("http://127.1/", "127.0.0.1", 80),
        ("http://[::FFFF:127.0.0.1]:81/", "::ffff:7f00:1", 81),
    ],
)
def test_a_target_has_one_spelling(url: str, host: str, port: int) -> None:
    target = parse_target(url)
    assert (target.host, target.port) == (host, port)
    assert target.url.raw_fragment == ""


def test_an_address_is_called_in_the_spelling_that_was_checked() -> None:
    assert parse_target("http://0x7f.1/a%20b?c=d").url.raw_host == "127.0.0.1"
    assert str(parse_target("http://[0::1]/a").url) == "http://[::1]/a"


@pytest.mark.parametrize(
    "host",
    """
    127.0.0.1 127.1 127.0.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.0.0.1 0X7F.1
    017700000001 0177.0.0.1 127.0.0.1.
    1\uff127.0.0.1 \uff11\uff12\uff17\uff0e\uff10\uff0e\uff10\uff0e\uff11
    \u2460\u2461\u2466.0.0.1
    127\u30020\u30020\u30021 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1]
    [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
    [2001:0:4136:e378:8000:63bf:80ff:fffe] 169.254.169.254 0xa9fea9fe
    100.100.100.200 [fd00:ec2::254] 224.0.0.1 [ff02::1] 192.88.99.1 localhost
    LOCALHOST localhost.
    """.split(),
)
async def test_no_spelling_of_an_inner_host_is_called(host: str) -> None:
    async with GuardedHttp(lookup=_here) as http:
        with pytest.raises(CallRefused) as refused:
            await http.call(HttpCall("GET", f"http://{host}/"))

    assert refused.value.code == "address_not_allowed"
    assert not refused.value.sent


@pytest.mark.parametrize("port", [22, 6379, 8080])
async def test_a_port_nobody_opened_is_refused(port: int) -> None:
    async with GuardedHttp(HttpPolicy(ports=(8443,))) as http:
        with pytest.raises(CallRefused) as refused:
            await http.call(HttpCall("GET", f"http://8.8.8.8:{port}/"))

    assert refused.value.code == "address_not_allowed"


def test_ports_once_named_bind_listed_networks_too() -> None:
    assert HttpPolicy().opens(9_999, listed=True)
    assert not HttpPolicy(ports=(8443,)).opens(9_999, listed=True)
    assert HttpPolicy(ports=(8443,)).opens(8_443, listed=False)
    assert not HttpPolicy().opens(8_080, listed=False)


def _code_of(url: str) -> str:
    with pytest.raises(CallRefused) as refused:
        parse_target(url)

    assert not refused.value.sent
    return refused.value.code


async def _here(_host: str) -> Sequence[str]:
    return ["127.0.0.1"]
