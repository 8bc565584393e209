"""``demo``: the examples loaded, one gated workflow run on real input, and shown."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from rich.rule import Rule

from contracts import JsonObject, TemporaryError
from sluicegate.cli.chat import Talk, begin, scripted_note
from sluicegate.cli.options import shipped
from sluicegate.cli.running import event_line
from sluicegate.cli.screen import DONE, FAILED, coloured, pretty, screen
from sluicegate.cli.tracing import draw
from sluicegate.client import Client, find_client, refused
from sluicegate.clock import SystemClock
from sluicegate.config import HttpTools, Llm, Settings
from sluicegate.invocation import COMMAND
from sluicegate.process import configure, has_uvloop, settings_of
from sluicegate.roles import ALL
from sluicegate.wiring import open_service

_HERE = "http://127.0.0.1:8080"
"""Where the tools of the examples call, until they are loaded."""

_PATIENCE_S = 30.0

_OWN = HttpTools(allow_private=("127.0.0.1",))
"""The tools of the demo call the service itself."""


def run_demo(path: Path, *, port: int | None, keep: bool) -> int:
    """Show the examples on the running service, or on one started here."""
    settings = settings_of(path, ALL, port=port)
    service = find_client(settings.data_dir)
    if _answers(service):
        screen.print(f"Using the service at {service.url}.")
        return show(service)

    tools = settings.tools.model_copy(update={"http": _OWN})
    settings = settings.model_copy(update={"tools": tools, "llm": _model(settings)})
    configure(settings, terminal_level="error")
    options = {"use_uvloop": has_uvloop()}
    return anyio.run(_serve_and_show, settings, keep, backend_options=options)


def show(service: Client) -> int:
    """Load the examples, run ``greet``, and show everything about the run."""
    for name in load_examples(service):
        screen.print("loaded  ", name)

    body = {"workflow": "greet", "input": {"name": "Ada"}}
    screen.print(Rule("POST /api/v1/decisions", align="left"))
    pretty({"action": "workflow.run", "args": body})
    answer = service.call(
        "POST", "/api/v1/decisions", {"action": "workflow.run", "args": body}
    )
    if answer.status != 200:
        raise refused(answer)

    screen.print(Rule("the verdict", align="left"))
    pretty(answer.body["verdict"])
    ended = _show_run(service, str(answer.body["outcome"]["result"]["run_id"]))
    return ended or _converse(service)


def _model(settings: Settings) -> Llm:
    """The model that is configured; where none is, one that answers from a file."""
    if settings.llm.provider:
        return settings.llm

    script = str(shipped("examples") / "conversation.json")
    return settings.llm.model_copy(update={"provider": "scripted", "script": script})


def _converse(service: Client) -> int:
    """Say two things in a conversation, and show what the gate saw of them."""
    screen.print(Rule("a conversation", align="left"))
    conversation = begin(service)
    talk = Talk(service, conversation, _PATIENCE_S, as_json=False)
    for text in ("What can you do?", "Greet Grace"):
        screen.print(f"> {text}", style="bold", markup=False)
        if talk.say(text):
            return FAILED

    note = scripted_note(service, conversation)
    if note:
        screen.print(note, style="yellow", markup=False)

    return DONE


def load_examples(service: Client) -> Iterator[str]:
    """Save every example that is not there yet; the names of those saved."""
    folder = shipped("examples")
    for kind, pattern in (("tools", "tools/*.yaml"), ("workflows", "*.yaml")):
        for path in sorted(folder.glob(pattern)):
            definition = _read(path, service.url)
            answer = service.call("POST", f"/api/v1/{kind}", definition)
            if answer.status == 201:
                yield f"{kind.removesuffix('s')} {definition['name']}"
            elif answer.body.get("code") != "name_conflict":
                raise refused(answer)


async def _serve_and_show(settings: Settings, keep: bool) -> int:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_service(settings, SystemClock()) as service:
            caller = find_client(service.data_dir, url=service.url)
            ended = await anyio.to_thread.run_sync(show, caller)
            if keep and ended == DONE:
                _say_what_to_try(service.url)
                await anext(aiter(signals))

    return ended


def _show_run(service: Client, run_id: str) -> int:
    screen.print(Rule("the events, as they happened", align="left"))
    for event in service.events(run_id):
        if event.id:
            screen.print(event_line(event.data["event"]), markup=False)

    run = service.call("GET", f"/api/v1/runs/{run_id}").body
    screen.print(Rule("the result", align="left"))
    screen.print(coloured(run["status"]))
    pretty(run["output"])
    screen.print(Rule("the trace", align="left"))
    draw(service, str(run["correlation_id"]), ())
    return DONE if run["success"] else FAILED


def _say_what_to_try(url: str) -> None:
    screen.print(Rule(f"still serving at {url}", align="left"))
    screen.print(
        "In another terminal:\n"
        f"  {COMMAND} run greet -i name=Grace --watch\n"
        f"  {COMMAND} run fetch-and-summarise --watch\n"
        f"  {COMMAND} run order -i item=lamp -i quantity=2 --watch   (asks a person)\n"
        f"  {COMMAND} chat\n"
        f"  {COMMAND} approvals\n"
        f"  {COMMAND} ledger verify\n"
        "Ctrl-C ends it."
    )


def _answers(service: Client) -> bool:
    try:
        return service.call("GET", "/healthz", timeout_s=2).status == 200
    except TemporaryError:
        return False


def _read(path: Path, url: str) -> JsonObject:
    """An example that calls the service where it really listens."""
    from plans import read_yaml

    text = path.read_text("utf-8").replace(_HERE, url)
    found: Any = read_yaml(text.encode(), max_bytes=1_048_576)
    return dict(json.loads(json.dumps(found)))
