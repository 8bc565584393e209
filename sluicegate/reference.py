"""Pages of the documentation that are rendered from the code.

``python -m sluicegate.reference`` writes them; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contracts import ACTIONS, CODES, EVENTS, ROLES

_RENDERED = "Rendered from the code by `python -m sluicegate.reference`.\n"


def events_page() -> str:
    """``docs/events.md``."""
    return "".join(_events())


def errors_page() -> str:
    """``docs/errors.md``."""
    return "".join(_errors())


def actions_page() -> str:
    """``docs/actions.md``."""
    return "".join(_actions())


PAGES = {
    "events.md": events_page,
    "errors.md": errors_page,
    "actions.md": actions_page,
}
"""File name below ``docs/`` and what renders it."""


def write(folder: Path) -> None:
    """Write every rendered page."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def _events() -> Iterator[str]:
    yield "# Run events\n\n"
    yield _RENDERED
    yield (
        "\nThree meanings never mix.\n"
        "*Execution* events say that a node really ran;\n"
        "*tool_call* events that an executor was really called, each call answered\n"
        "exactly once; *planning* events explain, and are never evidence.\n"
        "A run succeeded if its terminal event is `workflow_complete` and its status\n"
        "is `completed`; there is no other definition.\n"
    )
    for channel in dict.fromkeys(row.channel for row in EVENTS.values()):
        yield f"\n## {channel}\n\n| type | meaning | payload |\n| --- | --- | --- |\n"
        for name, row in EVENTS.items():
            if row.channel == channel:
                yield f"| `{name}` | {row.sentence} | {row.payload} |\n"


def _errors() -> Iterator[str]:
    yield "# Errors\n\n"
    yield _RENDERED
    yield (
        "\nEvery error is `application/problem+json` with `type`, `title`, `status`,\n"
        "`code`, `detail`, `message`, `details`, `errors` and `request_id`.\n"
        "Codes are stable; sentences may get clearer.\n"
        "\n| status | code | sentence |\n| --- | --- | --- |\n"
    )
    for name, code in sorted(CODES.items(), key=lambda item: (item[1].status, item[0])):
        yield f"| {code.status} | `{name}` | {code.sentence} |\n"


def _actions() -> Iterator[str]:
    yield "# Actions and permissions\n\n"
    yield _RENDERED
    yield "\n| action | permission | carried out by |\n| --- | --- | --- |\n"
    for name, row in ACTIONS.items():
        exempt = ", exempt from freeze" if row.freeze_exempt else ""
        yield f"| `{name}` | `{row.permission}` | {row.carrier}{exempt} |\n"

    yield "\n| role | permissions |\n| --- | --- |\n"
    for role, held in ROLES.items():
        yield f"| `{role}` | {', '.join(f'`{p}`' for p in sorted(held))} |\n"


if __name__ == "__main__":
    write(Path(__file__).resolve().parent.parent / "docs")
