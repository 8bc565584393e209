"""``approvals``, ``approve``, ``refuse``: the questions, and the answers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from contracts import JsonObject
from sluicegate.cli.options import Json, KeyFile, Limit, Url, client
from sluicegate.cli.screen import AWAITING, DONE, coloured, emit, pretty, screen, table
from sluicegate.client import Client, refused

ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="apr_…")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why.")]


def approvals(
    state: Annotated[
        str, typer.Option(help="waiting, approved, …, or all")
    ] = "waiting",
    limit: Limit = 50,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """List what waits for a person."""
    query = {"state": None if state == "all" else state}
    found = list(client(url, key_file).pages("/api/v1/approvals", query, limit))
    if as_json:
        emit(found)
    elif not found:
        screen.print("Nothing waits for a person.")
    else:
        table(
            ("id", "action", "what", "asked", "votes", "expires", "state"),
            (_row(approval) for approval in found),
        )


def approve(
    approval_id: ApprovalId,
    comment: Comment = "",
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Say yes to exactly what is asked."""
    path = f"/api/v1/approvals/{approval_id}/grant"
    _vote(client(url, key_file), path, comment, as_json=as_json)


def refuse(
    approval_id: ApprovalId,
    comment: Comment = "",
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Say no."""
    path = f"/api/v1/approvals/{approval_id}/refuse"
    _vote(client(url, key_file), path, comment, as_json=as_json)


def _vote(service: Client, path: str, comment: str, *, as_json: bool) -> None:
    answer = service.call("POST", path, {"comment": comment})
    if answer.status >= 400:
        raise refused(answer)

    if as_json:
        emit(answer.body)
    else:
        screen.print(coloured(answer.body["state"]), answer.body["decision_id"])
        if answer.body.get("outcome"):
            pretty(answer.body["outcome"]["result"])

    raise SystemExit(AWAITING if answer.body["state"] == "awaiting" else DONE)


def _row(approval: JsonObject) -> tuple[str, ...]:
    grants = sum(vote["vote"] == "grant" for vote in approval["votes"])
    return (
        approval["id"],
        approval["action"],
        _what(approval["args"]),
        ", ".join(approval["approvers"]),
        f"{grants} of {approval['quorum']}",
        approval["expires_at"][5:16].replace("T", " "),
        approval["state"],
    )


def _what(args: JsonObject) -> str:
    named = args.get("tool") or args.get("workflow") or args.get("node_id") or ""
    return f"{named} {json.dumps(args.get('input', {}), ensure_ascii=False)}"
