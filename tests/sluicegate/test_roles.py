"""Roles: which process may be what, on which bus and store."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import ConfigurationError
from sluicegate.roles import ALL, NAMES, refuse_impossible, roles_of
from tests.support.serving import settings_at

MEMORY, REDIS = "memory://", "redis://127.0.0.1:1/0"
SQLITE, MONGO = "sqlite:///x.db", "mongodb://127.0.0.1:1/x?replicaSet=rs0"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("bus", "store", "allowed"),
    [
        (MEMORY, SQLITE, {"all"}),
        (REDIS, MONGO, set(NAMES)),
        (REDIS, SQLITE, set()),
        (MEMORY, MONGO, set()),
    ],
)
def test_only_what_can_work_together_is_started(
    tmp_path: Path, bus: str, store: str, allowed: set[str], name: str
) -> None:
    settings = settings_at(tmp_path, bus={"url": bus}, store={"url": store})

    if name in allowed:
        refuse_impossible(settings, roles_of(name))
    else:
        with pytest.raises(ConfigurationError, match=r"url"):
            refuse_impossible(settings, roles_of(name))


def test_a_role_nobody_knows_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="gateway"):
        roles_of("gatekeeper")


def test_a_process_with_all_roles_has_each_of_the_others() -> None:
    parts = [roles for name, roles in NAMES.items() if name != "all"]

    assert frozenset().union(*parts) == ALL
