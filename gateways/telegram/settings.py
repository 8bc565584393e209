"""How the Telegram door is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from contracts.permissions import Role

Mode = Literal["off", "webhook", "polling"]

DOOR: Literal["telegram"] = "telegram"
"""The name of this door, in records and channels."""

BASE_URL = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """What the configuration says; times in seconds."""

    tenant: str
    token: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    """What Telegram shows with each update at the webhook; empty: nobody may come."""

    base_url: str = BASE_URL
    mode: Mode = "off"
    webhook_url: str = ""
    """Where Telegram is told to bring updates; empty: somebody else tells it."""

    allow: dict[int, tuple[Role, ...]] = field(default_factory=dict)
    """Accounts that need no code, and their roles."""

    hear_edits: bool = False
    """Whether a message that was edited is heard as a new one."""

    lease_s: float = 15.0
    look_s: float = 2.0
    """How often waiting work is looked for, should a hint get lost."""

    poll_s: int = 25
    """How long one getUpdates may wait for news."""

    deadline_s: float = 20.0
    """How long one call of the Bot API may take once connected, and to connect."""
