"""The lock files: every pin has hashes, none has an address, both fit pyproject."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.checkout import ROOT, pyproject

RUNTIME = ROOT / "requirements.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"
LOCKS = pytest.mark.parametrize(
    "lock", [RUNTIME, DEVELOPMENT], ids=lambda lock: str(lock.name)
)
REMAKE = "run scripts/lock"

Pins = dict[str, set[str]]
"""Versions by name; more than one where platforms differ."""


@LOCKS
def test_every_pin_of_a_lock_has_hashes(lock: Path) -> None:
    bare = [str(pin) for pin, hashes in _entries(lock) if not hashes]

    assert bare == [], REMAKE


@LOCKS
def test_a_lock_names_no_address_and_no_path(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")

    assert re.findall(r"\S*://\S*|--(?!hash)\S+|(?:^|\s)/\S+", text) == [], REMAKE


def test_the_runtime_lock_satisfies_what_the_project_asks_for() -> None:
    project = pyproject()["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["speed"]]

    assert _unsatisfied(asked, _pins(RUNTIME)) == [], REMAKE


def test_the_development_lock_satisfies_every_group() -> None:
    groups = pyproject()["dependency-groups"].values()
    asked = [line for group in groups for line in group if isinstance(line, str)]

    assert _unsatisfied(asked, _pins(DEVELOPMENT)) == [], REMAKE


def test_tests_run_on_the_very_versions_that_are_served() -> None:
    served, tested = _pins(RUNTIME), _pins(DEVELOPMENT)

    assert {name: tested.get(name) for name in served} == served, REMAKE


def _entries(lock: Path) -> list[tuple[Requirement, list[str]]]:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] not in " #"]
    parts = (line.split("--hash=") for line in lines)
    return [(Requirement(pin.strip()), hashes) for pin, *hashes in parts]


def _pins(lock: Path) -> Pins:
    pins: Pins = defaultdict(set)
    for pin, _ in _entries(lock):
        (version,) = (specifier.version for specifier in pin.specifier)
        pins[canonicalize_name(pin.name)].add(version)

    return dict(pins)


def _unsatisfied(asked: list[str], pins: Pins) -> list[str]:
    return [
        line
        for line in asked
        if not _fits(
            Requirement(line), pins.get(canonicalize_name(Requirement(line).name))
        )
    ]


def _fits(asked: Requirement, versions: set[str] | None) -> bool:
    return bool(versions) and all(map(asked.specifier.contains, versions or ()))
