"""``ledger``: whether the chain is whole, and evidence to take away."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from contracts import JsonObject, LedgerEntry, SignedHead
from contracts.chains import ChainCheck
from sluicegate.cli.options import Json, KeyFile, Url, client
from sluicegate.cli.screen import DONE, FAILED, emit, screen
from sluicegate.client import Client, refused

app = typer.Typer(no_args_is_help=True, help="The hash-chained record.")

_PAGE = 200
_VERIFIER = Path(__file__).resolve().parent.parent / "evidence" / "verify.py"


@app.command()
def verify(url: Url = "", key_file: KeyFile = None, as_json: Json = False) -> None:
    """Check every link of the chain, and name what is not as it was."""
    service = client(url, key_file)
    head = _head(service)
    check = ChainCheck(head)
    count = 0
    for entry in _entries(service):
        check.see(entry)
        count = entry.n

    problems = check.finish()
    sealed = head.n if head is not None else 0
    if as_json:
        emit({"entries": count, "sealed": sealed, "problems": problems})
    else:
        _show(count, sealed, problems)

    raise SystemExit(FAILED if problems else DONE)


@app.command()
def export(
    to: Annotated[Path | None, typer.Argument(help="The ZIP file to write.")] = None,
    run: Annotated[str, typer.Option(help="Only the texts of this run.")] = "",
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Write the chain and a verifier that needs nothing but Python into a ZIP."""
    service = client(url, key_file)
    about = _about(service, run) if run else {}
    path = to or Path(f"evidence-{run}.zip" if run else "ledger.zip")
    try:
        _write(path, service, about)
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error}.") from error

    if as_json:
        emit({"file": str(path), "run": run or None})
    else:
        told = f"wrote {path}; check it anywhere: unzip {path} && python verify.py"
        screen.print(told, soft_wrap=True)


def _write(path: Path, service: Client, about: dict[str, JsonObject]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as evidence:
        evidence.writestr("ledger.jsonl", "".join(_lines(service, about)))
        head = _head(service)
        evidence.writestr("head.json", json.dumps(head.plain() if head else None))
        evidence.writestr("verify.py", _VERIFIER.read_text("utf-8"))
        for name, body in about.items():
            evidence.writestr(f"{name}.json", json.dumps(body, indent=2))


def _entries(service: Client) -> Iterator[LedgerEntry]:
    for item in service.pages("/api/v1/ledger", {}, 10**9):
        yield LedgerEntry.model_validate_json(json.dumps(item))


def _head(service: Client) -> SignedHead | None:
    answer = service.call("GET", "/api/v1/ledger", query={"limit": 1})
    if answer.status != 200:
        raise refused(answer)

    head = answer.body["signed_head"]
    return SignedHead.model_validate_json(json.dumps(head)) if head else None


def _about(service: Client, run: str) -> dict[str, JsonObject]:
    """The run, its decisions and its events."""
    answer = service.call("GET", f"/api/v1/runs/{run}/trace")
    if answer.status != 200:
        raise refused(answer)

    return {"trace": dict(answer.body)}


def _lines(service: Client, about: dict[str, JsonObject]) -> Iterator[str]:
    """Every link; of a run's evidence only the texts that tell of the run."""
    kept = {d["id"] for d in about.get("trace", {}).get("decisions", [])}
    for entry in _entries(service):
        shown = entry.text if not about or entry.ref in kept else None
        line = {**entry.model_dump(exclude={"body"}), "text": shown}
        yield json.dumps(line, ensure_ascii=False) + "\n"


def _show(count: int, sealed: int, problems: list[str]) -> None:
    for sentence in problems:
        screen.print(Text("✗ ", "red"), sentence)

    if not problems:
        told = (
            f"{count} entries, unbroken; signed up to {sealed}, tail {count - sealed}"
        )
        screen.print(Text("✓ ", "green"), told)
