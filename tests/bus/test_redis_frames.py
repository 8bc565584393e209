"""Frames on a shared bus: signed, whole, of a version that is known."""

from __future__ import annotations

import hmac

import pytest

from bus.codec import Codec, TooNew, Unreadable, Unsigned
from contracts import ConfigurationError, PermanentError
from tests.support.redis_buses import KEY, large, ready, signed

CODEC = Codec(KEY)


def test_what_was_written_is_read_as_it_was() -> None:
    envelope = ready(reply_to="somebody", traceparent="00-1-2-01")

    assert CODEC.decode(CODEC.encode(envelope)) == envelope


def test_every_altered_byte_of_a_frame_makes_it_unsigned() -> None:
    frame = CODEC.encode(ready())

    for place in range(len(frame)):
        altered = bytearray(frame)
        altered[place] ^= 1
        with pytest.raises(Unsigned):
            CODEC.decode(bytes(altered))


def test_every_shortened_frame_is_unsigned() -> None:
    frame = CODEC.encode(ready())

    for length in range(len(frame)):
        with pytest.raises(Unsigned):
            CODEC.decode(frame[:length])


@pytest.mark.parametrize("frame", [b"", b"\n", b"1 \n{}", b"\xff\xfe", b"{}"])
def test_a_frame_without_a_signature_is_unsigned(frame: bytes) -> None:
    with pytest.raises(Unsigned):
        CODEC.decode(frame)


def test_a_frame_of_another_key_is_unsigned() -> None:
    with pytest.raises(Unsigned):
        CODEC.decode(Codec(b"another key of enough bytes, too").encode(ready()))


def test_a_signature_for_another_purpose_does_not_sign_a_frame() -> None:
    text = ready().model_dump_json().encode()
    mac = hmac.digest(KEY, text, "sha256").hex().encode()

    with pytest.raises(Unsigned):
        CODEC.decode(b"1 " + mac + b"\n" + text)


def test_a_signed_frame_of_a_newer_version_is_told_apart() -> None:
    with pytest.raises(TooNew, match="version 2"):
        CODEC.decode(signed(b"2", b"whatever will be"))


def test_a_signed_frame_that_is_no_envelope_tells_places_and_no_values() -> None:
    with pytest.raises(Unreadable) as caught:
        CODEC.decode(signed(b"1", b'{"kind": "run_ready", "tenant": "hunter2"}'))

    assert "run_ready.id missing" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_message_of_exactly_the_limit_is_written_and_one_byte_more_is_not() -> None:
    frame_of_empty = CODEC.encode(large(""))
    room = 262_144 - len(frame_of_empty.partition(b"\n")[2])

    assert CODEC.encode(large("x" * room))
    with pytest.raises(PermanentError) as caught:
        CODEC.encode(large("x" * (room + 1)))
    assert caught.value.code == "message_too_large"


def test_a_key_that_is_too_short_is_refused_without_being_told() -> None:
    with pytest.raises(ConfigurationError, match=r"keys\.bus") as caught:
        Codec(b"short and secret")

    assert "secret" not in str(caught.value)
