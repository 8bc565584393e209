"""Start-up time and idle memory of the service."""

from __future__ import annotations

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


def resident_mb(pid: int) -> float:
    """The resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_024

    raise RuntimeError(f"process {pid} has no memory")
