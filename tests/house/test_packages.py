"""Top-level packages: named where they must be, and owned by nobody else."""

from __future__ import annotations

import importlib
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from pathlib import Path

import pytest

from tests.support.checkout import ROOT, packages, pyproject

OURS = "sluicegate"


def test_the_wheel_carries_every_top_level_package() -> None:
    wheel = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert sorted(wheel["packages"]) == list(packages()), (
        "name the packages in pyproject.toml, tool.hatch.build.targets.wheel"
    )


def test_the_import_linter_watches_every_top_level_package() -> None:
    linter = pyproject()["tool"]["importlinter"]
    layers = linter["contracts"][0]["layers"]
    layered = [name for layer in layers for name in layer.split(" | ")]

    assert sorted(linter["root_packages"]) == list(packages()), (
        "name the packages in pyproject.toml, tool.importlinter.root_packages"
    )
    assert sorted(layered) == list(packages()), (
        "give each package its layer in pyproject.toml, first importlinter contract"
    )


@pytest.mark.parametrize("name", packages())
def test_a_package_tells_type_checkers_that_it_is_typed(name: str) -> None:
    assert (ROOT / name / "py.typed").is_file(), f"touch {name}/py.typed"


@pytest.mark.parametrize("name", packages())
def test_a_top_level_name_is_imported_from_here_alone(name: str) -> None:
    assert Path(str(importlib.import_module(name).__file__)).is_relative_to(ROOT)


def test_no_other_distribution_installs_one_of_our_names() -> None:
    owners = packages_distributions()
    foreign = {name: set(owners.get(name, [])) - {OURS} for name in packages()}

    assert {name: others for name, others in foreign.items() if others} == {}


def test_openai_agents_which_also_installs_agents_is_absent() -> None:
    with pytest.raises(PackageNotFoundError):
        distribution("openai-agents")
