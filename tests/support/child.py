"""A child process: started, held up, ended or killed, and always by its own id.

It does not outlive this process, even if that is killed, where setpriv is installed.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
from anyio.abc import Process

from tests.support.checkout import ROOT

_STOP_S = 10.0


class Child:
    """A place for one process at a time, which writes to the end of a file."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The id of the process that runs; 0 if there is none."""
        return self._process.pid if self.runs and self._process else 0

    @property
    def runs(self) -> bool:
        """Whether there is a process that did not end; it may be held up."""
        return self._process is not None and self._process.returncode is None

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it in the checkout; it need not be ready when this returns."""
        assert not self.runs, "It runs already."
        with self._output.open("ab") as output:
            self._process = await anyio.open_process(
                bound(command),
                cwd=ROOT,
                env=environment,
                stdin=None,
                stdout=output,
                stderr=output,
            )

    async def ended(self) -> int:
        """The exit code, once it has one; of a signal, its negative number."""
        assert self._process is not None, "It was never started."
        return await self._process.wait()

    async def kill(self) -> int:
        """Kill it as kill -9 does; its id, 0 if none was started since the last."""
        process, self._process = self._process, None
        if process is None:
            return 0

        if process.returncode is None:
            process.kill()

        with anyio.CancelScope(shield=True), anyio.move_on_after(_STOP_S):
            await process.wait()

        return process.pid

    def send(self, number: signal.Signals) -> int:
        """Send a signal if it runs; the id of the process that got it, else 0."""
        pid = self.pid
        if self._process is not None and pid:
            self._process.send_signal(number)

        return pid

    def hold(self) -> int:
        """Hold it up where it stands, until ``go_on``; its id."""
        return self.send(signal.SIGSTOP)

    def go_on(self) -> int:
        """Let it go on where it was held up; its id."""
        return self.send(signal.SIGCONT)

    @contextmanager
    def held(self) -> Iterator[None]:
        """It is held up while this lasts."""
        self.hold()
        try:
            yield
        finally:
            self.go_on()

    def output(self) -> str:
        """Everything that was written."""
        return self._output.read_text(encoding="utf-8", errors="replace")


def bound(command: Sequence[str]) -> Sequence[str]:
    """A command whose process is killed when the one that started it is gone.

    The same command where setpriv of util-linux is not installed.
    """
    program = shutil.which("setpriv")
    return command if program is None else [program, "--pdeathsig", "KILL", *command]
