"""Which files of a folder are due: new, changed, or waiting for another try."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateways.knowledge.files import File, files_in
from gateways.knowledge.watch import Watch


def file(name: str = "a", at: int = 1) -> File:
    return File(name, Path(f"/k/{name}.yaml"), (at, 10))


def test_a_settled_file_is_due_when_it_changes() -> None:
    watch = Watch()
    assert watch.due([file()], 0.0) == [file()]

    watch.settle(file())
    assert watch.due([file()], 1.0) == []
    assert watch.due([file(at=2)], 2.0) == [file(at=2)]


def test_a_file_that_was_not_taken_is_tried_again_ever_later() -> None:
    watch = Watch()
    tried = [0.0]
    for now in range(1_000):
        if watch.due([file()], float(now)):
            tried.append(float(now))
            watch.try_later(file(), float(now))

    assert tried[1:6] == [0.0, 4.0, 12.0, 28.0, 60.0]
    assert watch.due([file(at=2)], 1_000.0), "a change does not wait"


def test_a_file_that_is_gone_is_gone_until_it_is_forgotten() -> None:
    watch = Watch()
    watch.due([file("a"), file("b")], 0.0)
    watch.due([file("a")], 1.0)

    assert watch.gone(1.0) == [file("b")]
    watch.try_later(file("b"), 1.0)
    assert watch.gone(2.0) == []
    assert watch.gone(5.0) == [file("b")]
    watch.forget(file("b"))
    assert watch.gone(6.0) == []


@pytest.mark.parametrize(("old", "new"), [("yaml", "yml"), ("yml", "yaml")])
def test_a_file_that_was_renamed_is_not_gone(old: str, new: str) -> None:
    watch = Watch()
    before = File("a", Path(f"/k/a.{old}"), (1, 1))
    after = File("a", Path(f"/k/a.{new}"), (1, 1))
    watch.due([before], 0.0)
    watch.settle(before)

    assert watch.due([after], 1.0) == [after]
    assert watch.gone(1.0) == []
    assert watch.rival(after) is None


def test_the_heir_of_a_name_is_due_once_the_first_is_gone() -> None:
    watch = Watch()
    first = File("a", Path("/k/a.yaml"), (1, 1))
    second = File("a", Path("/k/a.yml"), (1, 1))
    for one in watch.due([first, second], 0.0):
        watch.settle(one)

    watch.due([second], 1.0)
    assert watch.gone(1.0) == []
    assert watch.due([second], 2.0) == [second]


def test_of_two_files_with_one_name_the_first_has_it() -> None:
    watch = Watch()
    first = File("eu.prices", Path("/k/eu/prices.yaml"), (1, 1))
    second = File("eu.prices", Path("/k/eu.prices.yaml"), (1, 1))
    watch.due([first, second], 0.0)

    assert watch.rival(first) is None
    assert watch.rival(second) == first


def test_a_folder_that_is_away_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no folder"):
        files_in(tmp_path / "away")


def test_the_name_is_the_path_with_dots(tmp_path: Path) -> None:
    (tmp_path / "eu").mkdir()
    (tmp_path / "eu" / "prices.yaml").write_text("a: 1")
    (tmp_path / ".hidden.yaml").write_text("a: 1")
    (tmp_path / "notes.txt").write_text("a: 1")

    assert [one.name for one in files_in(tmp_path)] == ["eu.prices"]
