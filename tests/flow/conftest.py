"""A whole service per test, embedded and with its roles apart: the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.serving import Given, Served, Stage, serving


@pytest.fixture(scope="session", params=["embedded", "apart"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """In memory and in a file, or with the roles apart on Valkey and MongoDB."""
    if request.param == "embedded":
        return Stage()

    return Stage(
        request.getfixturevalue("redis_server"),
        request.getfixturevalue("mongo_server"),
    )


@pytest.fixture
async def given(stage: Stage, tmp_path: Path) -> Given:
    """The settings of this test's service, however often it is started."""
    await stage.clear("flow")
    return partial(stage.settings, "flow", tmp_path)


@pytest.fixture
async def served(given: Given) -> AsyncIterator[Served]:
    """A fresh service with the shipped policy."""
    async with serving(given()) as running:
        yield running


@pytest.fixture(scope="module")
async def shared(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """One service for all tests of a module that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    await stage.clear("shared")
    async with serving(stage.settings("shared", folder)) as running:
        yield running
