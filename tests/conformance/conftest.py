"""The stores every store suite runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from store import ANY, Chances, Faults, FaultyStore, Store, open_store
from tests.support.mongo import emptied

ADAPTERS = ("sqlite in memory", "sqlite in a file", "mongodb")
"""Every adapter."""

STORES = (*ADAPTERS, "sqlite in memory, through faults", "mongodb, through faults")
"""Every adapter, and the fault wrapper that only passes through."""

FAULTS = {"1 %": 0.01, "5 %": 0.05, "20 %": 0.2}
"""How many calls fail, in each of the three ways alike."""


Opening = Callable[[str, Path], AbstractAsyncContextManager[Store]]
"""Opens the empty store of an adapter's name, with a folder for its files."""


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Opening:
    """How stores are opened; the server starts with the first test that needs it."""
    params = map(str, request.node.callspec.params.values())
    needed = any(param.startswith("mongodb") for param in params)
    server = request.getfixturevalue("mongo_server") if needed else None

    def adapter(name: str, folder: Path) -> AbstractAsyncContextManager[Store]:
        if name == "mongodb":
            assert server is not None
            return emptied(server)

        in_file = name == "sqlite in a file"
        return open_store(
            f"sqlite:///{folder}/store.db" if in_file else "sqlite://:memory:"
        )

    return adapter


@pytest.fixture(params=STORES)
async def store(
    opened: Opening, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Store]:
    """An empty store."""
    adapter, _, wrapped = request.param.partition(", ")
    async with opened(adapter, tmp_path) as inner:
        yield FaultyStore(inner) if wrapped else inner


@pytest.fixture
async def sound(opened: Opening, tmp_path: Path) -> AsyncIterator[Store]:
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
    opened: Opening, faults: Faults, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[FaultyStore]:
    """An empty store whose calls fail."""
    async with opened(request.param, tmp_path / "faulty") as inner:
        yield FaultyStore(inner, faults)
