"""What is deployed: every setting that compose.yaml and the Dockerfile name is one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from sluicegate.config import Settings
from sluicegate.roles import NAMES
from sluicegate.variables import keys_of, variable
from tests.support.checkout import ROOT

KNOWN = {variable(key) for key in keys_of(Settings)}
COMPOSE: Any = YAML(typ="safe", pure=True).load(ROOT / "compose.yaml")
OURS = {n: s for n, s in COMPOSE["services"].items() if "build" in s}


@pytest.mark.parametrize("name", ["compose.yaml", "Dockerfile"])
def test_every_variable_of_a_deployment_file_is_a_setting(name: str) -> None:
    named = set(re.findall(r"\bSLUICEGATE_[A-Z_]+", (ROOT / name).read_text("utf-8")))

    assert named - KNOWN == set()
    assert named


def test_each_role_has_a_service_and_each_service_a_role() -> None:
    roles = [service["command"][-1] for service in OURS.values()]

    assert sorted(roles) == sorted(set(NAMES) - {"all"})


def test_only_who_judges_or_acts_is_given_the_seal_key() -> None:
    given = {n for n, s in OURS.items() if variable("keys.seal") in s["environment"]}

    assert given == {"coordinator", "worker"}


def test_redis_keeps_what_it_was_told_and_evicts_nothing() -> None:
    command = COMPOSE["services"]["redis"]["command"]

    assert command[1:] == ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
