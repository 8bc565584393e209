"""One verb per chore: scripts that any shell of any system can run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

VERBS = sorted(path for path in (ROOT / "scripts").iterdir() if path.name[0] != "_")


def test_every_chore_that_is_promised_has_its_verb() -> None:
    names = {path.name for path in VERBS}

    assert {"serve", "test", "check", "bench", "faults"} <= names


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: str(verb.name))
def test_a_verb_may_be_run_as_it_stands(verb: Path) -> None:
    assert os.access(verb, os.X_OK), f"chmod +x scripts/{verb.name}"
    assert verb.read_text(encoding="utf-8").startswith("#!/bin/sh\n# ")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: str(verb.name))
def test_a_verb_is_valid_for_a_plain_shell(verb: Path) -> None:
    checked = subprocess.run(
        ["/bin/sh", "-n", verb], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_machine_without_python_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to(str(shutil.which("dirname")))
    scripts = tmp_path / "checkout" / "scripts"
    scripts.mkdir(parents=True)
    for name in ("_environment", "serve"):
        (scripts / name).write_text((ROOT / "scripts" / name).read_text())

    served = subprocess.run(
        ["/bin/sh", scripts / "serve"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert served.returncode != 0
    assert served.stderr.startswith("Sluicegate needs Python 3.11 to 3.14")
    assert served.stderr.count("\n") == 1
