"""What commands print: tables and colours for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts import CODES, JsonObject, SluicegateError

DONE, FAILED, USAGE, REFUSED, AWAITING = 0, 1, 2, 3, 4
UNAVAILABLE, CONFIGURATION = 69, 78
"""The exit codes of every command."""

_COLOURS = {
    "done": "green",
    "completed": "green",
    "approved": "green",
    "succeeded": "green",
    "ok": "green",
    "running": "cyan",
    "queued": "cyan",
    "awaiting": "yellow",
    "waiting": "yellow",
    "paused": "yellow",
    "retrying": "yellow",
    "dry_run": "blue",
    "skipped": "bright_black",
    "pending": "bright_black",
}

_IDS = frozenset({"id", "run", "decision"})
_ID_CHARACTERS = 30
_WIDE = 160
"""How many columns a line has where no terminal says it."""

screen = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
"""Standard output."""

margin = Console(stderr=True, highlight=False)
"""Standard error, for everything that is not the answer."""


def coloured(state: str) -> Text:
    """A state in its colour; what is bad or unknown is red."""
    return Text(state, style=_COLOURS.get(state, "red"))


def emit(body: Any) -> None:
    """JSON for machines, on one line a value."""
    json.dump(body, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def pretty(body: Any) -> None:
    """JSON for people."""
    screen.print_json(json.dumps(body, ensure_ascii=False), indent=2)


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table; an id is never cut."""
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        least = _ID_CHARACTERS if name in _IDS else None
        grid.add_column(name, no_wrap=name in _IDS, min_width=least)

    for row in rows:
        grid.add_row(*row)

    screen.print(grid)


def fail(error: SluicegateError) -> NoReturn:
    """Print an error as one sentence and what belongs to it; exit as it deserves."""
    margin.print(Text.assemble(("error ", "bold red"), error.message))
    margin.print(Text(f"      {error.code}", style="bright_black"))
    problems = _problems(error.details)
    for problem in problems if len(problems) > 1 else ():
        where = problem.get("pointer") or "/"
        margin.print(f"      {where}  {problem.get('message', '')}", markup=False)

    raise SystemExit(exit_code(error))


def exit_code(error: SluicegateError) -> int:
    """The exit code of an error that ended a command."""
    status = CODES[error.code].status if error.code in CODES else 500
    if status in (502, 503, 504):
        return UNAVAILABLE

    return REFUSED if status in (401, 403, 429) else FAILED


def _problems(details: JsonObject) -> list[JsonObject]:
    found = details.get("errors") or details.get("problems") or []
    return [problem for problem in found if isinstance(problem, dict)][:20]
