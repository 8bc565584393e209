"""One gated run through an installed Sluicegate, with the standard library alone.

Run by the Python of the environment that holds the wheel, in an empty folder:
``python -I smoke.py``. Ends with 0 if everything held, else with one sentence.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("sluicegate")
PATIENCE_S = 30.0

GREET = {
    "name": "greet",
    "kind": "workflow",
    "nodes": [
        {
            "id": "start",
            "type": "workflow_start",
            "input_schema": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 80}},
                "required": ["name"],
            },
        },
        {
            "id": "shout",
            "type": "transform",
            "output": {"text": "${start.name.upperAscii()}"},
        },
        {
            "id": "end",
            "type": "workflow_end",
            "output": {"greeting": "Hello ${shout.text}"},
        },
    ],
    "edges": [{"from": "start", "to": "shout"}, {"from": "shout", "to": "end"}],
}


class Api:
    """A client of a serving Sluicegate that knows one key."""

    def __init__(self, port: int, key: str) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
        }

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a 2xx answer; ends the smoke with the problem of any other."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._address + path, data, self._headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")

    def answers(self) -> bool:
        """Whether it is there and ready."""
        try:
            urllib.request.urlopen(self._address + "/readyz", timeout=1).close()
        except OSError:
            return False

        return True


def main() -> None:
    """Version, check-up, one decision, one run, one clean stop."""
    with tempfile.TemporaryDirectory() as data_dir:
        key = _admin_key()
        port = _free_port()
        environment = {
            **os.environ,
            "SLUICEGATE_DATA_DIR": data_dir,
            "SLUICEGATE_SERVER__PORT": str(port),
            "SLUICEGATE_KEYS__BOOTSTRAP_ADMIN": key,
        }
        subprocess.run([COMMAND, "--version"], check=True, env=environment)
        subprocess.run([COMMAND, "doctor"], check=True, env=environment)
        with _serving(environment) as process:
            api = Api(port, key)
            _until(lambda: process.poll() is not None or api.answers(), "it serves")
            _greet(api)


def _greet(api: Api) -> None:
    api.call("POST", "/api/v1/workflows", GREET)
    args = {"workflow": "greet", "input": {"name": "Ada"}}
    answer = api.call(
        "POST", "/api/v1/decisions", {"action": "workflow.run", "args": args}
    )
    _expect(answer["verdict"]["result"], "approved", "the verdict")
    path = f"/api/v1/runs/{answer['outcome']['result']['run_id']}"
    _until(lambda: api.call("GET", path)["finished_at"], "the run ends")

    run = api.call("GET", path)
    _expect((run["status"], run["success"]), ("completed", True), "the run's end")
    _expect(run["output"], {"greeting": "Hello ADA"}, "the run's output")
    events = api.call("GET", path + "/events?limit=200")["items"]
    _expect([event["seq"] for event in events], [*range(1, len(events) + 1)], "seqs")
    print(f"One gated run: {len(events)} events, greeting {run['output']['greeting']}.")


@contextmanager
def _serving(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A service that must stop by itself, with 0, once it is told to."""
    process = subprocess.Popen([COMMAND, "serve"], env=environment)
    try:
        yield process
        process.terminate()
        _expect(process.wait(PATIENCE_S), 0, "the exit code of serve")
    finally:
        process.kill()
        process.wait()


def _until(holds: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"Waited {PATIENCE_S:.0f} s in vain until {what}.")

        time.sleep(0.05)


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        sys.exit(f"Expected {what} to be {wanted!r}, found {found!r}.")


def _admin_key() -> str:
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    key_id = "0" + "".join(secrets.choice(letters) for _ in range(25))
    return f"sg_{key_id}_{secrets.token_urlsafe(32)}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
