"""Key material: made once, kept whole, read by its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import ConfigurationError
from sluicegate.material import keep, open_seals


def test_a_kept_secret_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"

    keep(path, "a secret")

    assert path.read_text(encoding="utf-8") == "a secret\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["admin.key"]


def test_a_write_that_was_cut_off_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    keep(path, "first")
    (tmp_path / "admin.key.fresh").write_text("hal", encoding="utf-8")

    assert path.read_text(encoding="utf-8") == "first\n"
    keep(path, "second")
    assert path.read_text(encoding="utf-8") == "second\n"


def test_a_seal_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first, second = open_seals(tmp_path), open_seals(tmp_path)

    assert first.key_id == second.key_id
    assert open_seals(tmp_path, given="x" * 32).key_id != first.key_id


def test_a_seal_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        open_seals(tmp_path, given="short")
