"""Failpoints: nothing happens unless a test armed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.failpoints import VARIABLE, armed_by, reach

POINTS = tuple(f"B{n}" for n in range(1, 23))

SCRIPT = """
from contracts import TemporaryError
from contracts.failpoints import reach
reach("B1")
try:
    reach("B2")
except TemporaryError:
    print("raised")
else:
    print("passed")
"""


def arm(setting: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, VARIABLE: setting},
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )


def test_an_unarmed_failpoint_is_passed() -> None:
    for name in POINTS:
        reach(name)


@pytest.mark.parametrize(
    ("text", "armed"),
    [
        (None, None),
        ("", None),
        ("B9:explode", None),
        ("B9", None),
        ("B9:kill", ("B9", "kill", 1.0)),
        ("B9:raise:0.25", ("B9", "raise", 0.25)),
    ],
)
def test_a_setting_names_point_deed_and_probability(
    text: str | None, armed: tuple[str, str, float] | None
) -> None:
    assert armed_by(text) == armed


def test_only_the_armed_point_is_struck() -> None:
    assert arm("B2:raise").stdout == "raised\n"
    assert arm("B2:raise:0").stdout == "passed\n"
    assert arm("B3:raise").stdout == "passed\n"


def test_a_kill_leaves_no_time_for_anything() -> None:
    assert arm("B2:kill").returncode == -signal.SIGKILL


def test_a_file_arms_a_failpoint_once_for_whoever_is_first(tmp_path: Path) -> None:
    armed = tmp_path / "failpoint"
    armed.write_text("B2:raise", encoding="utf-8")

    assert arm(f"@{armed}").stdout == "raised\n"
    assert not armed.exists()
    assert arm(f"@{armed}").stdout == "passed\n"


def test_a_file_that_arms_another_failpoint_stays(tmp_path: Path) -> None:
    armed = tmp_path / "failpoint"
    armed.write_text("B3:kill", encoding="utf-8")

    assert arm(f"@{armed}").stdout == "passed\n"
    assert armed.exists()
