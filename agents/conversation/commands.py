"""Slash commands: what a text that begins with ``/`` asks for; pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from contracts import ID_PATTERN, Action, InvalidInput, JsonObject, read_json_text

HELP = """\
/help – this
/workflows – what can be run
/run NAME key=value … – run a workflow; key="two words", or one JSON object
/status RUN – how a run is
/cancel RUN – cancel a run
/pending – what waits for a person
/approve ID · /refuse ID – vote on it
/bind FLOW · /unbind – talk to an agent flow
Anything else is answered in conversation."""

_ID = re.compile(ID_PATTERN)
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_PLAIN = frozenset({"help", "start", "workflows", "pending"})


class Command(NamedTuple):
    """A command that proposes an action, or asks for a text of ours."""

    name: str
    action: Action | None = None
    args: JsonObject | None = None
    """Of the action."""

    run_id: str = ""
    problem: str = ""
    """What is wrong with it, for the person; then nothing is done."""


def parse(text: str) -> Command | None:
    """The command of a text; None for a text that is none."""
    if not text.startswith("/"):
        return None

    word, *given = _words(text[1:]) or [""]
    name = word.partition("@")[0].lower()
    if name in _PLAIN:
        return Command(name)

    read = _WITH_WORDS.get(name)
    if read is None:
        return Command(name, problem=f"There is no command /{name[:40]}. Try /help.")

    return read(name, given)


def _run(name: str, given: list[str]) -> Command:
    if not given:
        return Command(name, problem="Name a workflow: /run NAME key=value …")

    whole = _object(" ".join(given[1:]))
    values = whole or {}
    for part in given[1:] if whole is None else ():
        key, mark, value = part.partition("=")
        if not mark or not key:
            return Command("run", problem=f"{part[:40]!r} is not key=value.")

        values[key] = _value(value)

    return Command("run", "workflow.run", {"workflow": given[0], "input": values})


def _words(text: str) -> list[str]:
    """The words of a text; what stands in double quotes is not cut."""
    quoted = text.count('"') % 2 == 0
    return _WORD.findall(text) if quoted else text.split()


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is none."""
    found = _value(text) if text.startswith("{") else None
    return found if isinstance(found, dict) else None


def _of_run(name: str, given: list[str]) -> Command:
    if len(given) != 1 or not given[0].startswith("run_") or not _ID.match(given[0]):
        return Command(name, problem=f"Name a run: /{name} run_…")

    if name == "status":
        return Command(name, run_id=given[0])

    return Command(name, "run.cancel", {"run_id": given[0]})


def _vote(name: str, given: list[str]) -> Command:
    if not given or not given[0].startswith("apr_") or not _ID.match(given[0]):
        return Command(name, problem=f"Name an approval: /{name} apr_… (see /pending)")

    action: Action = "approval.grant" if name == "approve" else "approval.refuse"
    args = {"approval_id": given[0], "comment": " ".join(given[1:])[:2_000]}
    return Command(name, action, args)


def _value(text: str) -> Any:
    """A number, true, false, null or JSON as such; anything else is text."""
    try:
        return read_json_text(text)
    except InvalidInput:
        return text


def _bind(name: str, given: list[str]) -> Command:
    if name == "unbind":
        return Command(name, "conversation.unbind", {})

    if len(given) != 1:
        return Command(name, problem="Name an agent flow: /bind FLOW")

    return Command(name, "conversation.bind", {"flow": given[0]})


_WITH_WORDS = {
    "bind": _bind,
    "unbind": _bind,
    "run": _run,
    "status": _of_run,
    "cancel": _of_run,
    "approve": _vote,
    "refuse": _vote,
}
"""How the words after a command are read."""
