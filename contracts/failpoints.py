"""Places where a test may end, stop, delay or break a process.

``SLUICEGATE_FAILPOINT=NAME:kill|stop|delay|raise[:PROBABILITY]`` arms one of them; the
names are the kill points B1 to B22 of the fault campaign. With ``@FILE`` instead, what
stands in the file is armed, at any time and for all processes that are given it: who
strikes first deletes the file. Not armed, nothing happens.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from contracts.errors import TemporaryError

VARIABLE = "SLUICEGATE_FAILPOINT"
_DELAY_S = 5.0

Armed = tuple[str, str, float]
"""The name, the deed and the probability."""


def _raise() -> None:
    raise TemporaryError("A failpoint was reached.")


_DEEDS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "delay": lambda: time.sleep(_DELAY_S),
    "raise": _raise,
}


def reach(name: str) -> None:
    """Pass a failpoint. Raises TemporaryError if it is armed to."""
    if _ARMED is not None:
        _strike(name, _ARMED)
    elif _FILE is not None:
        _strike_once(name, _FILE)


def armed_by(text: str | None) -> Armed | None:
    """What a setting arms, if anything."""
    if not text:
        return None

    name, deed, probability = (*text.split(":"), "1", "1")[:3]
    return (name, deed, float(probability)) if deed in _DEEDS else None


def _strike(name: str, armed: Armed) -> None:
    wanted, deed, probability = armed
    if name == wanted and random.random() < probability:
        _DEEDS[deed]()


def _strike_once(name: str, file: Path) -> None:
    try:
        armed = armed_by(file.read_text(encoding="utf-8"))
        if armed is None or armed[0] != name:
            return

        file.unlink()
    except FileNotFoundError:
        return  # nothing is armed, or another process was first

    _strike(name, armed)


_SETTING = os.environ.get(VARIABLE, "")
_FILE = Path(_SETTING[1:]) if _SETTING.startswith("@") else None
_ARMED = armed_by(_SETTING) if _FILE is None else None
