"""``chat``: a conversation with the running service, its replies as they come."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer
from rich.text import Text

from contracts import JsonObject
from sluicegate.cli.options import Json, KeyFile, Url, client
from sluicegate.cli.screen import AWAITING, DONE, FAILED, emit, fail, margin, screen
from sluicegate.client import Client, Response, refused
from sluicegate.invocation import COMMAND

_MOST_SHOWN = 1_000
_MODEL_IS_SCRIPTED = "(This model is scripted: it answers from a file.)"


class Said(NamedTuple):
    """What one message came to."""

    kind: str
    """``reply``, ``error`` or ``open``: it goes on longer than was waited for."""

    body: JsonObject
    written: str
    """The words of the model that were shown as they came."""

    @property
    def reply(self) -> str:
        """The whole text of the reply; empty if there is none yet."""
        return str(self.body["reply"]["text"]) if self.kind == "reply" else ""

    @property
    def rest(self) -> str:
        """What of the reply was not shown yet: words of the gate, mostly."""
        text = self.reply
        return "" if self.written.endswith(text) else text.removeprefix(self.written)

    @property
    def exit_code(self) -> int:
        """How a command that said it ends."""
        if self.kind == "error":
            return FAILED

        return AWAITING if self.kind == "open" or self.body.get("waits") else DONE


def chat(
    conversation: Annotated[
        str, typer.Argument(help="cnv_…; without one a new one is made.")
    ] = "",
    message: Annotated[
        str, typer.Option("--message", "-m", help="Say this, and end.")
    ] = "",
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for a reply.")
    ] = 60.0,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Talk: what you write is judged, answered, and acted on behind the gate."""
    service = client(url, key_file)
    talk = Talk(service, conversation or begin(service), timeout_s, as_json=as_json)
    if message:
        ended = talk.say(message)
        if not as_json:
            margin.print(Text(f"  {COMMAND} chat {talk.id}", "bright_black"))

        raise SystemExit(ended)

    raise SystemExit(talk.go_on())


def begin(service: Client) -> str:
    """Make a conversation; its id. Raises PermanentError if it is refused."""
    made = service.call("POST", "/api/v1/conversations", {})
    if made.status != 201:
        raise refused(made)

    return str(made.body["id"])


class Talk:
    """One conversation on a terminal, or line by line from a pipe."""

    def __init__(
        self, service: Client, conversation: str, timeout_s: float, *, as_json: bool
    ) -> None:
        self._service = service
        self._path = f"/api/v1/conversations/{conversation}"
        self.id = conversation
        self._timeout_s = timeout_s
        self._as_json = as_json
        self._seen = 0

    def say(self, text: str) -> int:
        """Say one thing and show what comes of it; the exit code."""
        said = self._exchange(text)
        if self._as_json:
            emit({"conversation_id": self.id, said.kind: said.body})
            return said.exit_code

        self._show(said)
        return said.exit_code

    def go_on(self) -> int:
        """Say line after line, until there are no more; the last one's exit code."""
        ended = DONE
        if not self._as_json:
            margin.print(Text(f"{self.id}  (Ctrl-D ends it, /help)", "bright_black"))
            self._catch_up()

        for line in self._lines():
            if not self._as_json:
                self._catch_up()

            if not line:
                continue

            said = self._exchange(line)
            if self._as_json:
                emit({"conversation_id": self.id, said.kind: said.body})
            else:
                self._show(said)
                self._catch_up(line, said.reply)

            ended = said.exit_code

        return ended

    def _lines(self) -> Iterator[str]:
        """What is written, line by line."""
        while True:
            try:
                line = input("> ") if sys.stdin.isatty() else sys.stdin.readline()
            except (EOFError, KeyboardInterrupt):
                margin.print()
                return

            if not line and not sys.stdin.isatty():
                return

            yield line.strip()

    def _exchange(self, text: str) -> Said:
        """Say it, and print the words of the reply as they come."""
        written = ""
        for event in self._service.say(self.id, text, self._timeout_s):
            if event.type == "delta" and not self._as_json:
                screen.print(event.data["text"], end="", markup=False, soft_wrap=True)
                written += event.data["text"]
            elif event.type in ("reply", "error", "open"):
                return Said(event.type, event.data, written)

        return Said("open", {}, written)

    def _show(self, said: Said) -> None:
        body = said.body
        if said.written:
            screen.print()

        if said.kind == "error":
            try:
                fail(refused(Response(500, body, {})))
            except SystemExit:
                return

        if said.kind == "open":
            margin.print("It goes on longer; its reply comes later.", style="yellow")
            return

        if said.rest:
            screen.print(said.rest.strip(), markup=False, soft_wrap=True)

        for name in body.get("runs", ()):
            margin.print(Text(f"  {COMMAND} trace {name}", "bright_black"))

        if body.get("waits"):
            margin.print(Text("  it goes on by itself once that is done", "yellow"))

    def _catch_up(self, *shown: str) -> None:
        """Show what was said while nobody looked, without what was ``shown``."""
        if self._count() <= self._seen:
            return

        for one in self._service.pages(f"{self._path}/messages", {}, _MOST_SHOWN):
            if one["n"] > self._seen:
                self._seen = one["n"]
                mark = "> " if one["role"] == "user" else ""
                if one["text"] not in shown:
                    screen.print(f"{mark}{one['text']}", markup=False, soft_wrap=True)

    def _count(self) -> int:
        """How many messages the history has."""
        answer = self._service.call("GET", self._path)
        if answer.status != 200:
            raise refused(answer)

        return int(answer.body["messages"])


def scripted_note(service: Client, conversation: str) -> str:
    """A sentence for people if a scripted model answered; else empty."""
    turns = service.pages(f"/api/v1/conversations/{conversation}/turns", {}, 200)
    answers = [one["payload"]["answer"] for one in turns if _is_answer(one)]
    scripted = any(str(one["provider"]) == "scripted" for one in answers)
    return _MODEL_IS_SCRIPTED if scripted else ""


def _is_answer(event: JsonObject) -> bool:
    return bool(event["type"] == "model_response")
