"""Updates are read leniently, and texts come in one form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.telegram.texts import Start, start_in, tidy, units
from gateways.telegram.updates import (
    BadUpdate,
    File,
    Ignored,
    Left,
    Moved,
    Pressed,
    Said,
    heard_in,
)
from tests.support.bot_api_server import message, press


@pytest.mark.parametrize(
    ("raw", "heard"),
    [
        (message(1, 5, "Hi"), Said(1, 5, 5, "Hi", is_private=True)),
        (
            message(1, -5, "Hi", sender={"id": 9}),
            Said(1, -5, 9, "Hi", is_private=False),
        ),
        (
            message(1, 5, "", voice={"file_id": "f"}, caption="Look"),
            Said(1, 5, 5, "Look", is_private=True, file=File("voice", "f", None, "")),
        ),
        (
            message(1, 5, "", photo=[{"file_id": "a", "file_size": 9}]),
            Said(
                1, 5, 5, "", is_private=True, file=File("photo", "a", 9, "image/jpeg")
            ),
        ),
        (press(1, 5, "x", 3), Pressed(1, 5, 5, "cb1", "x", 3, is_private=True)),
        (message(1, -5, "", migrate_to_chat_id=-9), Moved(1, -5, -9)),
        (
            {"update_id": 1, "my_chat_member": {"chat": {"id": 5}, "new": 1}},
            Left(1, 5, is_gone=False),
        ),
        (
            message(1, 5, "Hi", sender={"is_bot": True}),
            Ignored(1, "no person wrote it"),
        ),
        (message(1, 5, ""), Ignored(1, "no text")),
        ({"update_id": 1}, Ignored(1, "empty")),
        ({"update_id": 1, "moon_phase": {}}, Ignored(1, "moon_phase")),
        ({"update_id": 1, "message": []}, Ignored(1, "unreadable message")),
        ({"update_id": 1, "message": {"chat": 3}}, Ignored(1, "unreadable message")),
        ({"update_id": 1, "channel_post": {}}, Ignored(1, "channel_post")),
        ({"update_id": 1, "edited_message": {}}, Ignored(1, "edited_message")),
    ],
)
def test_what_an_update_means(raw: dict[str, Any], heard: object) -> None:
    assert heard_in(raw) == heard


@pytest.mark.parametrize("raw", [{}, [], None, {"update_id": "1"}, {"update_id": -1}])
def test_without_an_id_there_is_no_update(raw: Any) -> None:
    with pytest.raises(BadUpdate):
        heard_in(raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["chat", "from", "id", "text", "data", "message", "photo"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["message", "callback_query", "my_chat_member"]), _JSON)
def test_no_update_is_a_traceback(kind: str, inner: Any) -> None:
    heard_in({"update_id": 1, kind: inner})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("  Hi \x00\x1b[31m\n", "Hi [31m"),
        ("e\u0301", "\u00e9"),
        ("\u200b\u2060 \n", ""),
        ("\u202eabc", "\u202eabc"),
        ("a\ud800b", "ab"),
        ("", ""),
    ],
)
def test_texts_come_in_one_form(given: str, wanted: str) -> None:
    assert tidy(given) == wanted


def test_no_text_is_longer_than_telegram_allows() -> None:
    assert units(tidy("👍" * 4_096)) == 4_096
    assert units(tidy("a" + "👍" * 4_096)) == 4_095


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("/start", Start("", is_valid=True)),
        ("/start@sluice_bot  abc_-9", Start("abc_-9", is_valid=True)),
        ("/start ../../x", Start("../../x", is_valid=False)),
        (f"/start {'x' * 65}", Start("x" * 65, is_valid=False)),
        ("/started", None),
        ("start", None),
    ],
)
def test_a_start_is_read_with_its_payload(text: str, start: Start | None) -> None:
    assert start_in(text) == start
