"""Public types, tested like behaviour: what must not type-check does not.

A snippet in ``refused/`` ends each line that must fail with ``# expect: CODE``;
those in ``accepted/`` pass as they are.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

_EXPECTED = re.compile(r"# expect: ([a-z-]+)$")
_REPORTED = re.compile(
    r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$"
)

Found = set[tuple[str, int, str]]
"""File, line, error code."""


@pytest.mark.timeout(180)
def test_mypy_refuses_exactly_the_marked_lines_of_the_snippets() -> None:
    refused = sorted((HERE / "refused").glob("*.py"))
    accepted = sorted((HERE / "accepted").glob("*.py"))

    assert refused, "tests/typing/refused has no snippet: say what must not type-check"
    assert accepted, "tests/typing/accepted has no snippet: say what must type-check"
    assert reported(refused + accepted) == expected(refused)


def test_every_refused_snippet_marks_the_line_that_must_fail() -> None:
    unmarked = [
        path.name for path in (HERE / "refused").glob("*.py") if not expected([path])
    ]

    assert unmarked == [], "end a line of these with `# expect: CODE`"


def expected(snippets: list[Path]) -> Found:
    return {
        (_name(path), number, mark[1])
        for path in snippets
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (mark := _EXPECTED.search(line))
    }


def reported(snippets: list[Path]) -> Found:
    """What mypy says of the snippets; what it says of the code is not for here."""
    names = [_name(path) for path in snippets]
    options = [
        "--no-pretty",
        "--no-error-summary",
        "--cache-dir",
        ".mypy_cache/snippets",
    ]
    mypy = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert mypy.returncode in {0, 1}, mypy.stdout + mypy.stderr
    matches = map(_REPORTED.match, mypy.stdout.splitlines())
    errors = {(m["file"], int(m["line"]), m["code"]) for m in matches if m}
    return {error for error in errors if error[0] in names}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
