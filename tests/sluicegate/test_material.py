"""Key material: made once, kept for its owner only, and never too short."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import ConfigurationError, VerdictRefused
from sluicegate.material import keep, open_seals
from tests.support.entrance import SEALS
from tests.support.stored import approved, decision

LONG = "k" * 32


def test_a_seal_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    first, second = open_seals(tmp_path), open_seals(tmp_path)

    kept = tmp_path / "seal.key"
    assert first.key_id == second.key_id
    assert kept.stat().st_mode & 0o777 == 0o600
    assert len(kept.read_text().strip()) >= 32


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert open_seals(tmp_path / "a").key_id != open_seals(tmp_path / "b").key_id


def test_a_given_key_wins_over_a_file_and_nothing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "own.key"
    file.write_text("f" * 32)

    by_both = open_seals(tmp_path, given=LONG, file=str(file))
    by_value = open_seals(tmp_path, given=f"{LONG}\n")
    by_file = open_seals(tmp_path, file=str(file))

    assert by_both.key_id == by_value.key_id != by_file.key_id
    assert not (tmp_path / "seal.key").exists()


def test_a_key_too_short_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_seals(tmp_path, given="short-secret")

    assert "32 bytes" in refused.value.message
    assert "short-secret" not in refused.value.message


@pytest.mark.parametrize("content", [None, b"\xff" * 40])
def test_a_key_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "own.key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError) as refused:
        open_seals(tmp_path, file=str(file))

    assert str(file) in refused.value.message


def test_the_id_of_a_key_does_not_tell_the_key(tmp_path: Path) -> None:
    assert open_seals(tmp_path, given=LONG).key_id not in LONG
    assert len(open_seals(tmp_path, given=LONG).key_id) == 12


def test_seals_of_one_key_are_not_those_of_another(tmp_path: Path) -> None:
    fields = approved(decision()).model_dump(exclude={"seal", "key_id", "result"})
    sealed = SEALS.sealed(fields)

    with pytest.raises(VerdictRefused):
        open_seals(tmp_path).check(sealed)


def test_a_secret_is_kept_whole_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "admin.key"
    file.write_text("old")
    file.chmod(0o644)

    keep(file, "new")

    assert file.read_text() == "new\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["admin.key"]
