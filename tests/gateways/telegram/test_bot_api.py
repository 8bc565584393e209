"""Every way a call of the Bot API may end has a name, and none tells the token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateways.telegram.bot_api import BotApi, BotApiError, result_of
from gateways.telegram.pacing import Pacing
from tests.support.bot_api_server import TOKEN, Fault, bot_api_server
from tests.support.ports import free_port


def told(code: int, description: str = "", **parameters: Any) -> bytes:
    body = {"ok": False, "error_code": code, "description": description}
    return json.dumps({**body, "parameters": parameters}).encode()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, told(429, "Too Many Requests", retry_after=7), "flood"),
        (403, told(403, "Forbidden: bot was blocked by the user"), "blocked"),
        (400, told(400, "Bad Request: chat not found"), "blocked"),
        (400, told(400, "group upgraded", migrate_to_chat_id=-1), "migrated"),
        (400, told(400, "Bad Request: can't parse entities: x"), "bad_entities"),
        (400, told(400, "Bad Request: message is not modified"), "not_modified"),
        (401, told(401, "Unauthorized"), "unauthorized"),
        (404, told(404, "Not Found"), "unauthorized"),
        (409, told(409, "Conflict"), "conflict"),
        (400, told(400, "Bad Request: message is too long"), "rejected"),
        (500, told(500, "Internal Server Error"), "server"),
        (502, b"<html>Bad Gateway</html>", "lost"),
        (504, b"<html>Gateway Time-out</html>", "lost"),
        (200, b"", "lost"),
        (200, b"[]", "lost"),
        (200, b'{"ok": "yes"}', "lost"),
    ],
)
def test_each_failure_has_a_name(status: int, text: bytes, kind: str) -> None:
    with pytest.raises(BotApiError) as caught:
        result_of(status, text)

    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (7, 7.0),
        ("7", 7.0),
        (None, None),
        ("soon", None),
        (0, None),
        (-1, None),
        ("nan", None),
        ("inf", 86_400.0),
    ],
)
def test_when_to_come_back_is_read_leniently(given: Any, seconds: float | None) -> None:
    with pytest.raises(BotApiError) as caught:
        result_of(429, told(429, retry_after=given))

    assert caught.value.retry_after_s == seconds


async def test_a_lost_reply_is_not_a_call_that_never_went_out() -> None:
    async with bot_api_server() as server:
        server.fail("getMe", Fault(loses_reply=True))
        async with BotApi.open(TOKEN, server.url, 2) as api:
            with pytest.raises(BotApiError) as lost:
                await api.call("getMe")

    nowhere = f"http://127.0.0.1:{free_port()}"
    async with BotApi.open(TOKEN, nowhere, 2) as api:
        with pytest.raises(BotApiError) as unsent:
            await api.call("getMe")

        assert TOKEN not in repr(api)

    assert (lost.value.kind, unsent.value.kind) == ("lost", "unreachable")
    for error in (lost.value, unsent.value):
        assert TOKEN not in f"{error!r} {error.__cause__!r}"
        assert error.__suppress_context__


def test_a_flooded_chat_waits_alone() -> None:
    pacing = Pacing()

    pacing.flooded(1, 100.0, 7)

    assert pacing.wait_s(1, 100.0) == 7
    assert pacing.wait_s(1, 106.5) == 0.5
    assert pacing.wait_s(1, 107.0) == 0
    assert pacing.wait_s(2, 100.0) == 0


def test_without_a_number_the_wait_doubles_until_a_call_is_good() -> None:
    pacing = Pacing()

    waits = [pacing.flooded(1, 0.0, None) for _ in range(8)]
    pacing.sent(1, 0.0)

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pacing.flooded(1, 0.0, None) == 1


def test_chats_groups_and_the_bot_have_their_pace() -> None:
    pacing = Pacing()
    for _ in range(3):
        pacing.sent(1, 0.0)
        pacing.sent(-1, 0.0)

    assert pacing.wait_s(1, 0.0) == 3.0
    assert pacing.wait_s(-1, 0.0) == 9.0
    assert pacing.wait_s(2, 0.0) == 0
    for n in range(24):
        pacing.sent(100 + n, 0.0)

    assert pacing.wait_s(2, 0.0) == 1.0
    pacing.forget(61.0)
    assert pacing.wait_s(1, 61.0) == 0
