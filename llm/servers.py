"""Where a model is asked, and with which key."""

from __future__ import annotations

from typing import NamedTuple


class Server(NamedTuple):
    """Who is asked, and how."""

    model: str
    api_key: str
    base_url: str = ""
    """Empty: the provider's own."""

    idle_s: float = 60.0
    """How long may pass between two events, in seconds."""

    def __repr__(self) -> str:
        """Without the key."""
        return f"Server({self.model!r} at {self.base_url or 'the provider'!r})"
