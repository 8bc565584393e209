"""A model that answers from a file: for tests, the demo, and work offline.

It is chosen only by name, and its answers say ``provider: scripted``.
"""

from __future__ import annotations

from llm.scripted.model import Scripted
from llm.scripted.script import Line, Script, read_script

__all__ = ["Line", "Script", "Scripted", "read_script"]
