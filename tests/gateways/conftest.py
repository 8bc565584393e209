"""A door for all tests of a module that leave nothing behind, or one of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.doorway import Doorway, open_doorway


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Doorway]:
    """One door for a module; the gate behind it does everything."""
    async with open_doorway() as doorway:
        yield doorway


@pytest.fixture
async def doorway() -> AsyncIterator[Doorway]:
    """A door of the test's own."""
    async with open_doorway() as doorway:
        yield doorway
