"""Seals: promise 3 and J24; a verdict is honoured only as it was sealed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import (
    Approved,
    ConfigurationError,
    InvalidInput,
    Seals,
    VerdictRefused,
    new_id,
    read,
)

_KEY = b"k" * 32
_FIELDS: dict[str, Any] = {
    "id": new_id("vrd"),
    "decision_id": new_id("dec"),
    "decision_digest": "sha256:01",
    "action_digest": "sha256:02",
    "tenant": "default",
    "subject": new_id("sub"),
    "audience": "workflow",
    "pins": {"workflow:greet": "sha256:03", "tool:echo": "sha256:04"},
    "limits": {"calls": 3, "cost": 0.5},
    "policy_digest": "sha256:05",
    "rules": ("members", "small"),
    "would_refuse": False,
    "would_ask": False,
    "issued_at": "2026-11-21T03:54:40.123Z",
    "expires_at": "2026-11-21T03:59:40.123Z",
}


@pytest.fixture(name="seals")
def _seals() -> Seals:
    return Seals({"a": _KEY}, "a")


def test_a_sealed_verdict_is_honoured(seals: Seals) -> None:
    seals.check(seals.sealed(_FIELDS))


def test_a_verdict_that_went_over_the_wire_is_honoured(seals: Seals) -> None:
    sent = seals.sealed(_FIELDS).plain()
    reordered = dict(reversed(sent.items()))

    seals.check(read(Approved, json.dumps(reordered).encode()))


_OTHER: dict[str, Any] = {
    "id": new_id("vrd"),
    "decision_id": new_id("dec"),
    "audience": "coordinator",
    "pins": {"workflow:greet": "sha256:03"},
    "limits": {"calls": 4, "cost": 0.5},
    "rules": ("members",),
    "would_refuse": True,
    "would_ask": True,
    "issued_at": "2026-11-21T03:54:40.124Z",
    "expires_at": "2026-11-22T03:59:40.123Z",
}


@pytest.mark.parametrize("field", sorted(_FIELDS))
def test_a_changed_field_is_refused(seals: Seals, field: str) -> None:
    verdict = seals.sealed(_FIELDS)
    other = _OTHER.get(field, "other")

    with pytest.raises(VerdictRefused):
        seals.check(verdict.model_copy(update={field: other}))


def test_every_bit_of_a_seal_counts(seals: Seals) -> None:
    verdict = seals.sealed(_FIELDS)
    raw = int(verdict.seal, 16)
    for bit in range(256):
        flipped = f"{raw ^ (1 << bit):064x}"
        with pytest.raises(VerdictRefused):
            seals.check(verdict.model_copy(update={"seal": flipped}))


@pytest.mark.parametrize("seal", ["", "none", "0" * 64, "é" * 64])
def test_what_is_no_seal_is_refused(seals: Seals, seal: str) -> None:
    verdict = seals.sealed(_FIELDS)
    with pytest.raises(VerdictRefused):
        seals.check(verdict.model_copy(update={"seal": seal}))


def test_an_extra_field_is_no_verdict(seals: Seals) -> None:
    sent = {**seals.sealed(_FIELDS).plain(), "alg": "none"}
    with pytest.raises(InvalidInput) as caught:
        read(Approved, sent)

    assert caught.value.code == "unknown_field"


def test_another_key_of_the_same_name_does_not_fit(seals: Seals) -> None:
    with pytest.raises(VerdictRefused):
        Seals({"a": b"x" * 32}, "a").check(seals.sealed(_FIELDS))


def test_an_unknown_key_is_refused(seals: Seals) -> None:
    with pytest.raises(VerdictRefused):
        Seals({"b": _KEY}, "b").check(seals.sealed(_FIELDS))


def test_an_older_key_still_fits_after_a_rotation(seals: Seals) -> None:
    rotated = Seals({"a": _KEY, "b": b"n" * 32}, "b")

    rotated.check(seals.sealed(_FIELDS))
    assert rotated.sealed(_FIELDS).key_id == "b"


def test_a_short_key_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError):
        Seals({"a": b"k" * 31}, "a")
