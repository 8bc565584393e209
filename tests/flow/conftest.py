"""A whole service per test: its own loop, store and port, and nothing beyond it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.service import Served, serving, settings_at


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A fresh service with the shipped policy."""
    async with serving(settings_at(tmp_path)) as running:
        yield running


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One service for all tests of a module that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    async with serving(settings_at(folder)) as running:
        yield running
