"""``doctor``: looks at everything the service needs and says what to do."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import anyio
from rich.text import Text

from bus import examine_bus
from contracts import (
    ConfigurationError,
    Finding,
    SluicegateError,
    TemporaryError,
    moment,
)
from llm import examine_model
from sluicegate.cli.options import Config, Json, KeyFile, Url, client, config_path
from sluicegate.cli.screen import CONFIGURATION, DONE, FAILED, emit, screen
from sluicegate.client import Client
from sluicegate.config import Settings, load_policy, load_settings
from sluicegate.models import choice_of
from sluicegate.roles import ALL
from sluicegate.telegram import examine_telegram
from store import examine_store

_LEAST_FREE = 512 * 1024 * 1024
_MOST_SKEW_S = 2.0


def doctor(
    config: Config = None,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Check configuration, policy, data, disk, bus, store, clock and service."""
    findings = list(_look(config_path(config), url, key_file))
    if as_json:
        emit([finding._asdict() for finding in findings])
    else:
        _show(findings)

    bad = [finding.what for finding in findings if finding.level == "bad"]
    ended = CONFIGURATION if "configuration" in bad else FAILED
    raise SystemExit(ended if bad else DONE)


def _look(path: Path, url: str, key_file: Path | None) -> Iterator[Finding]:
    yield Finding("python", "ok", sys.version.split()[0])
    try:
        settings = load_settings(path)
        policy = load_policy(settings)
    except SluicegateError as error:
        yield Finding("configuration", "bad", error.message)
        return

    yield Finding("configuration", "ok", str(path.resolve()))
    told = f"{len(policy.rules)} rules, mode {policy.mode}, default {policy.default}"
    yield Finding("policy", "note" if policy.mode != "enforce" else "ok", told)
    yield from (_data_dir(settings), _disk(settings))
    yield anyio.run(examine_bus, settings.bus.url)
    yield anyio.run(examine_store, settings.store_url)
    yield _model(settings)
    yield _telegram(settings)
    yield from _service(client(url, key_file, settings.data_dir))


def _model(settings: Settings) -> Finding:
    try:
        return anyio.run(examine_model, choice_of(settings.llm))
    except ConfigurationError as error:
        return Finding("model", "bad", error.message)


def _telegram(settings: Settings) -> Finding:
    try:
        return anyio.run(examine_telegram, settings)
    except ConfigurationError as error:
        return Finding("telegram", "bad", error.message)


def _data_dir(settings: Settings) -> Finding:
    path = settings.data_dir
    if not path.exists():
        return Finding("data", "note", f"{path} is made at the first start")

    loose = path.stat().st_mode & 0o077
    advice = f"{path} can be read by others: chmod 700 {path}"
    return Finding("data", "bad" if loose else "ok", advice if loose else str(path))


def _disk(settings: Settings) -> Finding:
    path = next(p for p in (settings.data_dir, Path.cwd()) if p.exists())
    free = shutil.disk_usage(path).free
    return Finding("disk", _level(free > _LEAST_FREE), f"{free // 2**20:,} MiB free")


def _service(service: Client) -> Iterator[Finding]:
    try:
        ready = service.call("GET", "/readyz", timeout_s=5)
        yield Finding("service", _level(ready.status == 200), f"{service.url}")
        for name, state in ready.body["dependencies"].items():
            yield Finding(name, _level(state == "ok"), state)

        who = service.call("GET", "/api/v1/version", timeout_s=5)
        said = "accepted" if who.status == 200 else "refused: set SLUICEGATE_KEY"
        yield Finding("key", _level(who.status == 200), said)
        yield from _processes(service.call)
    except TemporaryError as error:
        yield Finding("service", "note", f"{error.message}; start it: sluicegate serve")


def _processes(call: Callable[..., object]) -> Iterator[Finding]:
    """How many there are of each role; one of each is needed."""
    answer = call("GET", "/api/v1/system/worker")
    alive = getattr(answer, "body", {}).get("processes", [])
    roles = Counter(role for process in alive for role in process["roles"])
    told = ", ".join(f"{roles[role]} {role}" for role in sorted(ALL))
    yield Finding("processes", _level(len(roles) == len(ALL)), told)
    for process in alive:
        skew = abs(moment(process["seen_at"]).timestamp() - time.time())
        if skew > 30 + _MOST_SKEW_S:
            said = f"the clock of {process['worker']} is {skew:.0f} s off"
            yield Finding("clock", "bad", said)


def _level(good: bool) -> Literal["ok", "bad"]:
    return "ok" if good else "bad"


def _show(findings: list[Finding]) -> None:
    marks = {"ok": ("✓", "green"), "note": ("•", "yellow"), "bad": ("✗", "red")}
    for finding in findings:
        mark = Text(*marks[finding.level])
        screen.print(mark, Text(f"{finding.what:<14}"), Text(finding.said))
