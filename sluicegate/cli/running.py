"""``run``, ``decide``, ``runs``, ``events``: work, and what it does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from contracts import JsonObject, new_id, seconds_between
from sluicegate.cli.live import watch_run
from sluicegate.cli.options import (
    Json,
    KeyFile,
    Limit,
    Url,
    client,
    json_argument,
    pairs,
)
from sluicegate.cli.screen import (
    AWAITING,
    DONE,
    FAILED,
    coloured,
    emit,
    margin,
    pretty,
    screen,
    table,
)
from sluicegate.client import Client, Response, refused
from sluicegate.invocation import COMMAND

_ENDED = ("completed", "failed", "canceled")
_WAIT_S = 30.0
_LOOK_AGAIN_S = 0.2
_BRIEF = 100
"""Characters of a value on a terminal; elsewhere it is whole."""


def run(
    workflow: Annotated[str, typer.Argument(help="Name of the workflow.")],
    given: Annotated[
        list[str] | None, typer.Option("-i", help="key=value, as often as needed.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="JSON file with the whole input.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live.")] = False,
    once: Annotated[str, typer.Option(help="Idempotency-Key.")] = "",
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Run a workflow and show its result."""
    service = client(url, key_file)
    values = json_argument(f"@{input_file}") if input_file else {}
    body: JsonObject = {"workflow": workflow, "input": {**values, **pairs(given or [])}}
    if not watch:
        body |= {"wait": True, "timeout_s": _WAIT_S}

    headers = {"Idempotency-Key": once or new_id("msg")}
    answer = service.call("POST", "/api/v1/runs", body, headers=headers)
    _stop_if_not_started(answer, as_json)
    run_id = str(answer.body["id"])
    if watch and not as_json:
        watch_run(service, run_id)

    _show_run(_final(service, run_id, answer.body), as_json)


def decide(
    action: Annotated[str, typer.Argument(help="The action, like workflow.run.")],
    args: Annotated[str, typer.Option("--args", help="JSON, or @file.")] = "{}",
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge only.")] = False,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Propose a decision and show the verdict and what came of it."""
    body = {
        "action": action,
        "args": json_argument(args),
        "reason": reason,
        "dry_run": dry_run,
    }
    answer = client(url, key_file).call("POST", "/api/v1/decisions", body)
    _stop_if_refused(answer, as_json)
    if as_json:
        emit(answer.body)
    else:
        _show_decision(answer.body)

    raise SystemExit(AWAITING if answer.body["state"] == "awaiting" else DONE)


def runs(
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    status: Annotated[str | None, typer.Option(help="Only of this status.")] = None,
    limit: Limit = 20,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    query = {"workflow": workflow, "status": status}
    found = list(client(url, key_file).pages("/api/v1/runs", query, limit))
    if as_json:
        emit(found)
        return

    table(
        ("run", "workflow", "status", "created", "took"),
        (
            (
                row["id"],
                f"{row['workflow']} v{row['workflow_version']}",
                _status(row),
                row["created_at"][5:19].replace("T", " "),
                _took(row),
            )
            for row in found
        ),
    )


def events(
    run_id: Annotated[str, typer.Argument(metavar="RUN")],
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on live.")] = False,
    limit: Limit = 1_000,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Show the events of a run, oldest first."""
    service = client(url, key_file)
    if follow:
        found: Any = (e.data["event"] for e in service.events(run_id) if e.id)
    else:
        query = {"channel": channel, "include_payload": "true"}
        found = service.pages(f"/api/v1/runs/{run_id}/events", query, limit)

    for event in found:
        if as_json:
            emit(event)
        elif channel in (None, event["channel"]):
            screen.print(event_line(event), markup=False, soft_wrap=True)


def event_line(event: JsonObject) -> str:
    """An event as one line for people."""
    node = event["node_id"] or ""
    seq, at = event["seq"], event["at"][11:23]
    return f"{seq:>4}  {at}  {event['type']:<20} {node:<16} {_brief(event)}".rstrip()


def _brief(event: JsonObject) -> str:
    payload = event.get("payload") or {}
    for name in ("error", "reason", "output", "input", "worker"):
        if payload.get(name):
            text = f"{name}={json.dumps(payload[name], ensure_ascii=False)}"
            cut = screen.is_terminal and len(text) > _BRIEF
            return f"{text[:_BRIEF]}…" if cut else text

    return ""


def _stop_if_refused(answer: Response, as_json: bool) -> None:
    if answer.status < 400:
        return

    if as_json:
        emit(answer.body)

    raise refused(answer)


def _stop_if_not_started(answer: Response, as_json: bool) -> None:
    _stop_if_refused(answer, as_json)
    if answer.body.get("state") == "awaiting":
        if as_json:
            emit(answer.body)
        else:
            _show_decision(answer.body)

        raise SystemExit(AWAITING)


def _final(service: Client, run_id: str, known: JsonObject) -> JsonObject:
    """The run once it has ended or waits for a person."""
    row = known
    while not _is_settled(row):
        time.sleep(_LOOK_AGAIN_S)
        found = service.call("GET", f"/api/v1/runs/{run_id}")
        if found.status != 200:
            raise refused(found)

        row = found.body

    return dict(row)


def _is_settled(row: JsonObject) -> bool:
    if row["status"] == "paused":
        return row.get("paused_reason") not in (None, "wait")

    return row["status"] in _ENDED


def _show_run(row: JsonObject, as_json: bool) -> None:
    if as_json:
        emit(row)
    else:
        screen.print(coloured(row["status"]), row["id"], f" {_took(row)}")
        if row["output"] is not None:
            pretty(row["output"])

        if row["error"]:
            margin.print(f"{row['error']['code']}: {row['error']['message']}")

        if row["status"] == "paused":
            _show_waiting(row)

    paused = row["status"] == "paused"
    raise SystemExit(AWAITING if paused else DONE if row["success"] else FAILED)


def _show_waiting(row: JsonObject) -> None:
    for point in row["waiting_on"]:
        what = point.get("approval_id") or point.get("kind", "")
        screen.print(f"waits at {point.get('node')}: {what}", markup=False)
        if point.get("approval_id"):
            screen.print(f"  {COMMAND} approve {point['approval_id']}", style="bold")


def _show_decision(body: JsonObject) -> None:
    screen.print(coloured(body["state"]), body["decision_id"])
    rules = ", ".join(body["verdict"]["rules"]) or "the default"
    screen.print(f"verdict  {body['verdict']['result']} by {rules}", markup=False)
    approval = body.get("approval")
    if approval:
        asked = ", ".join(approval["approvers"])
        screen.print(f"asked    {asked}, until {approval['expires_at']}")
        screen.print(f"         {COMMAND} approve {approval['id']}", style="bold")

    if body.get("outcome"):
        pretty(body["outcome"]["result"])
    elif body.get("plan"):
        pretty(body["plan"])


def _status(row: JsonObject) -> Text:
    """The status, and what a paused run waits for."""
    status = coloured(row["status"])
    reason = row["paused_reason"]
    return status.append(f" ({reason})", "bright_black") if reason else status


def _took(row: JsonObject) -> str:
    began, ended = row["started_at"], row["finished_at"]
    if not (began and ended):
        return ""

    return f"{seconds_between(began, ended) * 1_000:.0f} ms"
