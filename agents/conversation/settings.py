"""How conversations are held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contracts import Budget

INSTRUCTIONS = """\
You help people to get work done with the workflows and tools of this installation.
Use a function when it serves what was asked; every call is judged by rules first, and
may be refused or wait for a person. Never claim that something was done unless a
function's result says so. Answer in the language of the person, briefly.
"""


def _no_budgets() -> tuple[Budget, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """What the configuration says; times in seconds."""

    instructions: str = INSTRUCTIONS
    max_parallel: int = 256
    """Conversations that one process holds at a time."""

    lease_s: float = 10.0
    sweep_s: float = 5.0
    verdict_ttl_s: float = 300.0
    model_timeout_s: float = 120.0
    run_wait_s: float = 30.0
    """A turn waits so long for a run; the person then hears that it goes on."""

    max_output_tokens: int = 2_000
    hear_out_s: float = 6.0
    """At a stop a model that is answering is waited for so long."""

    close_s: float = 8.0
    budgets: Callable[[], tuple[Budget, ...]] = _no_budgets
