"""``keys`` and ``freeze``: who may come in, and what stands still."""

from __future__ import annotations

from typing import Annotated

import typer

from sluicegate.cli.options import Json, KeyFile, Limit, Url, client
from sluicegate.cli.screen import emit, margin, screen, table
from sluicegate.client import refused

app = typer.Typer(no_args_is_help=True, help="Bearer keys.")

_NEXT = {
    "http": "Keep it: it is not shown again.",
    "telegram": "Send it to the bot once: /start, a space, and this.",
}


@app.command()
def create(
    subject: Annotated[str, typer.Argument(help="The person or service.")],
    role: Annotated[list[str], typer.Option(help="As often as needed.")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    door: Annotated[
        str, typer.Option(help="http, or telegram: a code for the bot.")
    ] = "http",
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown this once."""
    body = {"subject": subject, "roles": role, "label": label, "door": door}
    answer = client(url, key_file).call("POST", "/api/v1/keys", body)
    if answer.status != 201:
        raise refused(answer)

    if as_json:
        emit(answer.body)
    else:
        screen.print(answer.body["key"], soft_wrap=True)
        margin.print(_NEXT[door], style="yellow")


@app.command("list")
def list_(
    limit: Limit = 50, url: Url = "", key_file: KeyFile = None, as_json: Json = False
) -> None:
    """List keys, newest first."""
    found = list(client(url, key_file).pages("/api/v1/keys", {}, limit))
    if as_json:
        emit(found)
        return

    table(
        ("id", "subject", "roles", "door", "label", "created", "ends"),
        (
            (
                row["id"],
                row["subject"],
                ", ".join(row["roles"]),
                row["door"],
                row["label"],
                row["created_at"][:16].replace("T", " "),
                "revoked" if row["revoked_at"] else row["expires_at"] or "",
            )
            for row in found
        ),
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="key_…")],
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """End a key at once."""
    answer = client(url, key_file).call("DELETE", f"/api/v1/keys/{key_id}")
    if answer.status != 200:
        raise refused(answer)

    if as_json:
        emit(answer.body)
    else:
        screen.print(f"revoked {key_id}")


def freeze(
    scope: Annotated[str, typer.Argument(help="tenant, tool or workflow")] = "",
    name: Annotated[str, typer.Argument(help="Which tool or workflow.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Thaw it.")] = False,
    reason: Annotated[str, typer.Option(help="Why; everybody refused reads it.")] = "",
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Stop a tenant, tool or workflow; without arguments show what stands still."""
    service = client(url, key_file)
    what = {"scope": scope, "name": name or None}
    if not scope:
        answer = service.call("GET", "/api/v1/freeze")
    elif clear:
        answer = service.call("DELETE", "/api/v1/freeze", query=what)
    else:
        answer = service.call("PUT", "/api/v1/freeze", {**what, "reason": reason})

    if answer.status != 200:
        raise refused(answer)

    if as_json:
        emit(answer.body)
    elif scope:
        screen.print(f"{'thawed' if clear else 'frozen'} {scope} {name}".rstrip())
    else:
        items = answer.body["items"]
        rows = ((r["scope"], r["name"], r["reason"], r["at"]) for r in items)
        table(("scope", "name", "reason", "since"), rows)
