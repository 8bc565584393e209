"""Places where a test may end, stop, delay or break the process.

``SLUICEGATE_FAILPOINT=NAME:kill|stop|delay|raise[:PROBABILITY]`` arms one of them; the
names are the kill points B1 to B22 of the fault campaign. Not armed, nothing happens.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from contracts.errors import TemporaryError

VARIABLE = "SLUICEGATE_FAILPOINT"
_DELAY_S = 5.0


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


def armed_by(text: str | None) -> tuple[str, str, float] | None:
    """The name, the deed and the probability that a setting arms, if any."""
    if not text:
        return None

    name, deed, probability = (*text.split(":"), "1", "1")[:3]
    return (name, deed, float(probability)) if deed in _DEEDS else None


def _strike(name: str, armed: tuple[str, str, float]) -> None:
    wanted, deed, probability = armed
    if name == wanted and random.random() < probability:
        _DEEDS[deed]()


_ARMED = armed_by(os.environ.get(VARIABLE))
