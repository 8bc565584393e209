"""Start-up time and idle memory of the service; what a command takes to begin."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from statistics import median

from bench.report import report
from bench.served import served

_STARTS = 5


async def measure() -> None:
    """Print the median start and the memory of a service that does nothing."""
    starts, memory = [], []
    for _ in range(_STARTS):
        async with served() as service:
            starts.append(service.start_s)
            memory.append(resident_mb(service.pid))

    report("process", "start", median(starts), "seconds")
    report("process", "idle memory", median(memory), "MB")
    bare = median([await _seconds_of("-c", "pass") for _ in range(_STARTS)])
    version = ("-m", "sluicegate", "--version")
    command = median([await _seconds_of(*version) for _ in range(_STARTS)])
    report("process", "a command", command, "seconds", to_bare=command / bare)


async def _seconds_of(*words: str) -> float:
    """How long an interpreter takes from start to end."""
    began = time.perf_counter()
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=quiet)
    if await process.wait():
        raise RuntimeError(f"{words} failed")

    return time.perf_counter() - began


def resident_mb(pid: int) -> float:
    """The resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_024

    raise RuntimeError(f"process {pid} has no memory")
