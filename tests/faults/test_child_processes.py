"""Child processes of tests: nothing of them stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.support.child import Child, bound
from tests.support.polling import until

PARENT = """
import sys
from pathlib import Path
import anyio
from tests.support.child import Child

async def main():
    child = Child(Path(sys.argv[1]))
    await child.start(["sleep", "60"])
    Path(sys.argv[2]).write_text(str(child.pid))
    await child.ended()

anyio.run(main)
"""
INSTALLED = shutil.which("setpriv") is not None


def is_there(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False

    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_a_child_is_gone_when_its_parent_was_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    parent = Child(tmp_path / "parent.out")
    await parent.start(
        [sys.executable, "-c", PARENT, str(tmp_path / "child.out"), str(told)]
    )

    async def has_told() -> bool:
        return told.exists() and told.read_text(encoding="ascii") != ""

    assert await until(has_told, within_s=15), parent.output()
    pid = int(told.read_text(encoding="ascii"))
    assert is_there(pid)
    await parent.kill()

    async def is_gone() -> bool:
        return not is_there(pid)

    within_s = 5.0 if INSTALLED else 0.5
    gone = await until(is_gone, within_s=within_s)
    if not gone:
        os.kill(pid, signal.SIGKILL)

    assert gone is INSTALLED


def test_without_setpriv_a_command_is_started_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    assert bound(["sleep", "60"]) == ["sleep", "60"]
