"""The service as a process of its own, for measures from outside."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from contracts import fresh_key

_READY_S = 20


@dataclass(frozen=True, slots=True)
class Served:
    """A service that listens."""

    url: str
    key: str
    pid: int
    start_s: float
    """From starting the process until it said that it listens."""


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    """Start ``sluicegate serve`` on a free port with data of its own."""
    with tempfile.TemporaryDirectory() as folder:
        key = fresh_key()[1]
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "sluicegate", "serve", "--port", "0"),
            env=_environment(folder, key),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            url = await _listening(process, folder)
            yield Served(url, key, process.pid, time.perf_counter() - began)
        finally:
            process.terminate()
            await process.wait()


def _environment(folder: str, key: str) -> dict[str, str]:
    """Ours, but with compiled modules kept, as they are where people run it."""
    ours = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, **_settings(folder, key)}


def _settings(folder: str, key: str) -> dict[str, str]:
    return {
        "SLUICEGATE_DATA_DIR": folder,
        "SLUICEGATE_KEYS__BOOTSTRAP_ADMIN": key,
        "SLUICEGATE_LOGGING__LEVEL": "warning",
    }


async def _listening(process: asyncio.subprocess.Process, folder: str) -> str:
    if process.stdout is None:
        raise RuntimeError("the service has no output")

    with anyio.fail_after(_READY_S):
        line = await process.stdout.readline()

    if b"listens on" not in line:
        raise RuntimeError(f"the service did not start: {line!r}")

    address = await anyio.Path(folder, "service.url").read_text("utf-8")
    return address.strip()
