"""``trace``: who said what to whom, how long it took, which verdict, what effect."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from contracts import JsonObject, seconds_between
from sluicegate.cli.options import Json, KeyFile, Url, client, data_dir
from sluicegate.cli.screen import coloured, emit, screen
from sluicegate.client import Client, refused

_MOST = 1_000
_DIM = "bright_black"
_TELLING = frozenset(
    {
        "tool_call",
        "tool_result",
        "tool_error",
        "tool_unknown",
        "approval_requested",
        "approval_granted",
        "approval_refused",
        "approval_expired",
        "node_complete",
        "node_error",
        "node_retry",
        "run_paused",
        "run_resumed",
        "run_cancel_requested",
        "workflow_complete",
        "workflow_error",
        "run_canceled",
    }
)
"""The events a trace shows; ``events RUN`` shows all."""


def trace(
    trace_id: Annotated[
        str, typer.Argument(metavar="ID", help="dec_…, run_… or msg_…")
    ],
    messages: Annotated[
        bool, typer.Option("--messages", help="Also every message, from the log file.")
    ] = True,
    log: Annotated[
        list[Path] | None,
        typer.Option(
            help="The log file of another process; as often as needed.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ] = None,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Draw everything that one message led to."""
    service = client(url, key_file)
    correlation = _correlation(service, trace_id)
    logs = (_own_log(), *(log or ())) if messages else ()
    if as_json:
        emit(_gathered(service, correlation, logs))
    else:
        draw(service, correlation, logs)


def draw(service: Client, correlation: str, logs: Iterable[Path]) -> None:
    """Draw the decisions and runs of a chain, and the messages in these log files."""
    found = _gathered(service, correlation, logs)
    screen.print(_tree(found))
    if found["messages"]:
        screen.print(_said(found["messages"]))


def _gathered(service: Client, correlation: str, logs: Iterable[Path]) -> JsonObject:
    query = {"correlation_id": correlation}
    decisions = sorted(
        service.pages("/api/v1/decisions", query, _MOST),
        key=lambda decision: str(decision["recorded_at"]),
    )
    return {
        "correlation_id": correlation,
        "decisions": decisions,
        "runs": list(_runs(service, decisions)),
        "votes": _votes(service, decisions),
        "messages": sorted(
            (line for path in logs for line in _messages(path, correlation)),
            key=lambda line: str(line["timestamp"]),
        ),
    }


def _correlation(service: Client, trace_id: str) -> str:
    prefix = trace_id.partition("_")[0]
    if prefix == "msg":
        return trace_id

    paths = {"run": f"/api/v1/runs/{trace_id}", "dec": f"/api/v1/decisions/{trace_id}"}
    if prefix not in paths:
        raise typer.BadParameter("An id here begins with dec_, run_ or msg_.")

    found = service.call("GET", paths[prefix])
    if found.status != 200:
        raise refused(found)

    return str(found.body["correlation_id"])


def _runs(service: Client, decisions: list[JsonObject]) -> Iterable[JsonObject]:
    """Each run that one of the decisions started, with its events."""
    for decision in decisions:
        run_id = ((decision["outcome"] or {}).get("result") or {}).get("run_id")
        found = service.call("GET", f"/api/v1/runs/{run_id}") if run_id else None
        if found is not None and found.body.get("decision_id") == decision["id"]:
            query = {"include_payload": "true"}
            events = service.pages(f"/api/v1/runs/{run_id}/events", query, _MOST)
            yield {**found.body, "events": list(events)}


def _votes(service: Client, decisions: list[JsonObject]) -> dict[str, list[JsonObject]]:
    """The votes on each decision that asked people."""
    asked = [d for d in decisions if d["verdict"]["result"] == "awaiting"]
    votes = {}
    for decision in asked:
        approval = decision["verdict"]["approval_id"]
        found = service.call("GET", f"/api/v1/approvals/{approval}")
        votes[decision["id"]] = list(found.body.get("votes", []))

    return votes


def _tree(found: JsonObject) -> Tree:
    """Decisions, below each its verdict, votes and run, in the run what it did."""
    tree = Tree(Text.assemble(("trace ", "bold"), (found["correlation_id"], _DIM)))
    branches: dict[str, Tree] = {}
    for decision in found["decisions"]:
        parent = branches.get(decision["run_id"] or "", tree)
        branch = parent.add(_decision_line(decision))
        branch.add(_verdict_line(decision))
        for vote in found["votes"].get(decision["id"], []):
            branch.add(_vote_line(decision, vote))

        for run in found["runs"]:
            if run["decision_id"] == decision["id"]:
                branches[run["id"]] = _run_branch(branch, run)

    return tree


def _vote_line(decision: JsonObject, vote: JsonObject) -> Text:
    return Text.assemble(
        f"vote {vote['vote']} by {vote['subject']}",
        (f"  +{_ms(decision['created_at'], vote['at'])}", _DIM),
        f"  {vote['comment']}",
    )


def _decision_line(decision: JsonObject) -> Text:
    what = decision["args"].get("workflow") or decision["args"].get("tool") or ""
    return Text.assemble(
        (f"{decision['created_at'][11:23]} ", _DIM),
        ("decision ", "bold"),
        f"{decision['action']} {what} ",
        coloured(decision["state"]),
        (f"  by {decision['proposer']['kind']}", _DIM),
        (f"  {decision['id']}", _DIM),
    )


def _verdict_line(decision: JsonObject) -> Text:
    verdict = decision["verdict"]
    rules = ", ".join(decision["rules"]) or "default"
    took = _ms(decision["created_at"], decision["recorded_at"])
    line = Text.assemble(
        "verdict ", coloured(verdict["result"]), f" by {rules}", (f"  +{took}", _DIM)
    )
    if decision["settled_at"]:
        state = (decision["outcome"] or {}).get("state", "")
        line.append("  → outcome ")
        line.append_text(coloured(state))
        line.append(f"  +{_ms(decision['created_at'], decision['settled_at'])}", _DIM)

    return line


def _run_branch(branch: Tree, run: JsonObject) -> Tree:
    ends = run["finished_at"]
    took = _ms(run["created_at"], ends) if ends else ""
    line = Text.assemble(
        ("run ", "bold"),
        f"{run['workflow']} v{run['workflow_version']} ",
        coloured(run["status"]),
        (f"  {took}  {run['id']}", _DIM),
    )
    inside = branch.add(line)
    for event in run["events"]:
        if event["type"] in _TELLING:
            inside.add(_event_line(run, event))

    return inside


def _event_line(run: JsonObject, event: JsonObject) -> Text:
    payload = event["payload"]
    what = payload.get("tool") or payload.get("reason") or ""
    error = payload.get("error") or {}
    style = "red" if "error" in event["type"] or "unknown" in event["type"] else ""
    return Text.assemble(
        (f"+{_ms(run['created_at'], event['at']):<9}", _DIM),
        (f"{event['type']:<19}", style),
        f"{event['node_id'] or ''} {what}",
        (f"  {error.get('code', '')}", "red"),
    )


def _own_log() -> Path:
    """Where the process of this configuration writes its lines."""
    return data_dir() / "logs" / "sluicegate.jsonl"


def _messages(path: Path, correlation: str) -> Iterable[JsonObject]:
    """The message lines of the chain in a log file, if it can be read here."""
    if not path.is_file():
        return

    with path.open(encoding="utf-8") as lines:
        for line in lines:
            # the last one may be cut off: its process was killed, or writes it now
            if correlation in line and '"message.' in line and line.endswith("}\n"):
                yield json.loads(line)


def _said(lines: list[JsonObject]) -> Tree:
    """The messages as a tree of causes; on top what these logs know no cause of."""
    tree = Tree(Text("messages", "bold"))
    spent: dict[str, str] = {}
    below: dict[str | None, list[JsonObject]] = defaultdict(list)
    for line in lines:
        if line["event"] == "message.handled":
            spent[line.get("message_id", "")] = f"{line.get('duration_ms')} ms"
        elif line["event"] in ("message.published", "message.replied"):
            below[line.get("causation_id")].append(line)

    known = {line["message_id"] for each in below.values() for line in each}
    for cause in tuple(below):
        if cause not in known:
            _grow(tree, cause, below, spent)

    return tree


def _grow(
    tree: Tree,
    cause: str | None,
    below: dict[str | None, list[JsonObject]],
    spent: dict[str, str],
) -> None:
    for line in below.get(cause, []):
        how = "→" if line["event"] == "message.published" else "↩"
        branch = tree.add(
            Text.assemble(
                (f"{line['timestamp'][11:23]} ", _DIM),
                f"{line.get('sender')} {how} {line.get('kind')}",
                (f"  {spent.get(line['message_id'], '')}", _DIM),
            )
        )
        _grow(branch, line["message_id"], below, spent)


def _ms(earlier: str, later: str) -> str:
    return f"{seconds_between(earlier, later) * 1_000:.0f} ms"
