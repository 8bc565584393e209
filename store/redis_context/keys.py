"""The names of what is kept in Redis of a conversation."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Pair(NamedTuple):
    """The keys of the two parts of a context."""

    messages: str
    summary: str


class Keys:
    """Names under the hash tag of the installation, so that they live in one slot."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{{{namespace}}}:context:"

    def of(self, tenant: str, chat_id: str) -> Pair:
        """The keys of a conversation, unlike those of any other."""
        chat = f"{self._prefix}{_quoted(tenant)}:chat:{_quoted(chat_id)}"
        return Pair(f"{chat}:messages", f"{chat}:summary")


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass")
