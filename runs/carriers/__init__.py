"""Who carries out which action, once the run entry has let it through."""

from __future__ import annotations

from bus import Bus
from runs.carriers.carrying import Carried, Carrier, Use
from runs.carriers.control import RunControl
from runs.carriers.conversations import ConversationBinding, ConversationCreating
from runs.carriers.dead_letters import DeadLetterHandling
from runs.carriers.definitions import DefinitionDeleting, DefinitionSaving
from runs.carriers.freezes import Freezing
from runs.carriers.keys import KeyCreating, KeyRevoking
from runs.carriers.policies import PolicyReloading
from runs.carriers.starting import RunStarting, Worker
from store import Store

_DEFINITION_KINDS = ("workflow", "tool", "stage", "flow", "knowledge")
"""The kinds of definitions that this release can use."""


def carriers(store: Store, bus: Bus, starting: RunStarting) -> dict[str, Carrier]:
    """The carrier of each action that leaves an effect row."""
    letters = DeadLetterHandling(bus)
    control = RunControl(store.runs, bus, starting)
    saving = DefinitionSaving(store.definitions)
    deleting = DefinitionDeleting(store.definitions)
    binding = ConversationBinding(store.conversations)
    freezing = Freezing(store.definitions, store.freezes, store.ledger)
    return {
        "conversation.bind": binding,
        "conversation.unbind": binding,
        "conversation.create": ConversationCreating(store.conversations),
        **{f"{kind}.save": saving for kind in _DEFINITION_KINDS},
        **{f"{kind}.delete": deleting for kind in _DEFINITION_KINDS},
        "key.create": KeyCreating(store.keys, store.ledger),
        "key.revoke": KeyRevoking(store.keys, store.ledger),
        "freeze.set": freezing,
        "freeze.clear": freezing,
        "run.cancel": control.cancel,
        "run.resume": control.resume,
        "run.retry": control.retry,
        "run.signal": control.signal,
        "dead_letter.retry": letters.retry,
        "dead_letter.drop": letters.drop,
    }


__all__ = [
    "Carried",
    "Carrier",
    "PolicyReloading",
    "RunStarting",
    "Use",
    "Worker",
    "carriers",
]
