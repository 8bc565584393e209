"""The system outside, as a process of its own: it writes down every call it gets.

Run as ``python -m tests.support.sink LEDGER SEED``. Prints its port, serves on
127.0.0.1 and ends with its standard input. Each received call is one line of JSON in
the ledger, fsynced before the answer: ``Received`` as an object.

Calls below ``/slow`` take two seconds, below ``/slower`` five; those below
``/unsteady`` are answered with 503 now and then, after they were written.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
from aiohttp import web

from tests.support.checkout import ROOT
from tests.support.child import bound

_SLOWEST_S = 0.06
_SLOW_S = {"slow": 2.0, "slower": 5.0}
_UNSTEADY = 0.05
_START_S = 20.0
_STOP_S = 5.0


class Received(NamedTuple):
    """One call as the sink got it; ``token`` and ``step`` stand in its body."""

    step: str
    token: str
    key: str | None
    digest: str


class Sink(NamedTuple):
    """A sink that serves."""

    port: int
    ledger: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def received(self) -> list[Received]:
        """Every call so far."""
        return read_ledger(self.ledger)


def read_ledger(path: Path) -> list[Received]:
    """Every call in a ledger, in order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Received(**json.loads(line)) for line in lines]


@asynccontextmanager
async def open_sink(folder: Path, seed: int = 0) -> AsyncIterator[Sink]:
    """A sink process with its ledger in this folder; gone after the context."""
    ledger = folder / "sink.jsonl"
    ledger.touch()
    command = [sys.executable, "-m", "tests.support.sink", str(ledger), str(seed)]
    process = await anyio.open_process(bound(command), cwd=ROOT, stderr=None)
    try:
        with anyio.fail_after(_START_S):
            assert process.stdout is not None
            port = int(await process.stdout.receive())

        yield Sink(port, ledger)
    finally:
        process.kill()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_STOP_S):
            await process.aclose()


class _Ledger:
    """Appends lines that are on the disk before ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def write(self, received: Received) -> None:
        os.write(self._file, (json.dumps(received._asdict()) + "\n").encode())
        os.fdatasync(self._file)


async def _serve(path: Path, seed: int) -> None:
    ledger, dice = _Ledger(path), random.Random(seed)

    async def answer(request: web.Request) -> web.Response:
        ledger.write(await _received(request))
        slow_s = _SLOW_S.get(request.path.split("/")[1])
        await anyio.sleep(slow_s or dice.uniform(0, _SLOWEST_S))
        fails = request.path.startswith("/unsteady") and dice.random() < _UNSTEADY
        said = {"received": True, "uuid": str(uuid.uuid4())}
        return web.json_response(said, status=503 if fails else 200)

    app = web.Application()
    app.router.add_post("/{step:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def _received(request: web.Request) -> Received:
    body = await request.read()
    said = json.loads(body)
    return Received(
        step=said["step"],
        token=said["token"],
        key=request.headers.get("Idempotency-Key"),
        digest=hashlib.sha256(body).hexdigest(),
    )


if __name__ == "__main__":
    anyio.run(_serve, Path(sys.argv[1]), int(sys.argv[2]))
