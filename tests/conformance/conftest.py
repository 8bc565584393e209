"""The stores every store suite runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from store import ANY, Chances, Faults, FaultyStore, Store, open_store

ADAPTERS = ("sqlite in memory", "sqlite in a file")
"""Every adapter."""

STORES = (*ADAPTERS, "sqlite in memory, through faults")
"""Every adapter, and the fault wrapper that only passes through."""

FAULTS = {"1 %": 0.01, "5 %": 0.05, "20 %": 0.2}
"""How many calls fail, in each of the three ways alike."""


@asynccontextmanager
async def opened(which: str, folder: Path) -> AsyncIterator[Store]:
    """The empty store of this name."""
    adapter, _, wrapped = which.partition(", ")
    urls = {
        "sqlite in memory": "sqlite://:memory:",
        "sqlite in a file": f"sqlite:///{folder}/store.db",
    }
    async with open_store(urls[adapter]) as inner:
        yield FaultyStore(inner) if wrapped else inner


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    async with opened(request.param, tmp_path) as store:
        yield store


@pytest.fixture
async def sound(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store without faults: what ``faulty`` is compared with."""
    async with opened(ADAPTERS[0], tmp_path / "sound") as store:
        yield store


@pytest.fixture(params=FAULTS)
def faults(request: pytest.FixtureRequest) -> Faults:
    """Faults in so many calls; the seed is the test's name."""
    chance = FAULTS[request.param] / 3
    return Faults(request.node.name, {ANY: Chances(chance, chance, chance)})


@pytest.fixture(params=ADAPTERS)
async def faulty(
    faults: Faults, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[FaultyStore]:
    """An empty store whose calls fail."""
    async with opened(request.param, tmp_path / "faulty") as inner:
        yield FaultyStore(inner, faults)
