"""``policy``: whether it is sound, why it said what it said, what a draft would say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agents.coordinator.policy import CompiledPolicy, Retried, compile_policy, retry
from contracts import ConfigurationError, DecisionRecord, JsonObject
from sluicegate.cli.options import Config, Json, KeyFile, Url, client, config_path
from sluicegate.cli.screen import CONFIGURATION, DONE, coloured, emit, screen, table
from sluicegate.client import Client, refused
from sluicegate.config import load_policy, load_settings

app = typer.Typer(no_args_is_help=True, help="The rules of the gate.")

_DIM = "bright_black"
_STATES = {
    "matched": ("● matched", "green"),
    "not_matched": ("○ not matched", _DIM),
    "errored": ("✗ errored", "red"),
}


@app.command()
def check(config: Config = None, as_json: Json = False) -> None:
    """Compile the policy and name every problem; exit 78 if there is one."""
    try:
        policy = _compiled(config_path(config))
    except ConfigurationError as error:
        if as_json:
            emit({"valid": False, **error.details})
            raise SystemExit(CONFIGURATION) from error

        _show_problems(error)
        raise SystemExit(CONFIGURATION) from error

    told = {"valid": True, "rules": len(policy.policy.rules), "digest": policy.digest}
    if as_json:
        emit(told)
    else:
        rules, mode = told["rules"], policy.policy.mode
        screen.print(
            Text("✓ ", "green"), f"{rules} rules, mode {mode}, {policy.digest}"
        )


@app.command()
def explain(
    decision_id: Annotated[str, typer.Argument(metavar="DECISION", help="dec_…")],
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Tell each rule of the policy in force, and whether it matches a decision."""
    path = f"/api/v1/decisions/{decision_id}/explain"
    answer = client(url, key_file).call("POST", path)
    if answer.status != 200:
        raise refused(answer)

    if as_json:
        emit(answer.body)
        return

    body = answer.body
    screen.print(coloured(body["result"]), body["message"])
    rows = ((s["then"], s["id"], _state(s["state"]), s["why"]) for s in body["stories"])
    table(("then", "rule", "state", "why"), rows)


@app.command("try")
def try_(
    draft: Annotated[Path, typer.Argument(help="A configuration file with the draft.")],
    last: Annotated[int, typer.Option(help="How many ledger entries back.")] = 1_000,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Judge recorded decisions again, under a draft: what would come out otherwise."""
    policy = _compiled(draft)
    tried = list(retry(_records(client(url, key_file), last), policy))
    changed = [one for one in tried if one.differs]
    if as_json:
        emit([_told(one) for one in tried])
        return

    screen.print(f"{len(tried)} decisions, {len(changed)} would come out otherwise")
    if changed:
        table(("decision", "action", "was", "would be", "by"), map(_row, changed))

    raise SystemExit(DONE)


def _compiled(path: Path) -> CompiledPolicy:
    return compile_policy(load_policy(load_settings(path)))


def _show_problems(error: ConfigurationError) -> None:
    screen.print(Text("✗ ", "red"), error.message)
    for problem in error.details.get("problems", []):
        screen.print(f"  {problem['pointer']}  {problem['message']}", markup=False)


def _records(service: Client, last: int) -> Iterator[DecisionRecord]:
    """The decisions among the last entries of the ledger, as they were recorded.

    What became of them is no part of the record, and nothing here asks for it.
    """
    head = service.call("GET", "/api/v1/ledger", query={"limit": 1})
    if head.status != 200:
        raise refused(head)

    begin = max(0, (head.body["head"] or {"n": 0})["n"] - last)
    for entry in service.pages("/api/v1/ledger", {"after": begin}, last):
        if entry["kind"] == "decision" and entry["text"]:
            body = {**json.loads(entry["text"]), "state": "approved"}
            yield DecisionRecord.model_validate_json(json.dumps(body))


def _state(state: str) -> Text:
    return Text(*_STATES.get(state, (state, "")))


def _row(one: Retried) -> tuple[str | Text, ...]:
    by = ", ".join(one.rules) or "default"
    return one.decision_id, one.action, coloured(one.old), coloured(one.new), by


def _told(one: Retried) -> JsonObject:
    return {
        "id": one.decision_id,
        "action": one.action,
        "old": one.old,
        "new": one.new,
        "rules": list(one.rules),
    }
