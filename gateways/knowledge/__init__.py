"""A folder of knowledge as a door: a file that changed is proposed to be saved.

What is saved is a version like any other; runs pin it, and the next run has the new
one. Nothing is saved that the gate did not approve.
"""

from __future__ import annotations

from gateways.knowledge.door import open_folder

__all__ = ["open_folder"]
