"""The failpoints that the product names, and which role passes each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.checkout import ROOT, product
from tests.support.deployment import Role

AT_START = frozenset({"B22"})
"""Passed while a process starts on a fresh store."""

OF_CALLS = frozenset({"B10", "B11", "B12"})
"""Passed around a call: before it, when it was sent, and when it is answered."""

OF_POISON = frozenset({"B17"})
"""Passed when a message is given up."""

OF_TURNS = tuple(f"C{n}" for n in range(1, 8))
"""Passed by a turn of a conversation, in its order."""

_ROLES: dict[str, Role] = {"gateways": "gateway", "agents/coordinator": "coordinator"}


@cache
def failpoints() -> dict[str, Role]:
    """Every name in a ``reach`` outside turns, and the role that passes it."""
    found = {
        name: _role_of(path)
        for path in product()
        for name in _named(path)
        if name not in OF_TURNS
    }
    return dict(sorted(found.items(), key=lambda one: int(one[0][1:])))


def _named(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and _is_reach(node.func):
            name = node.args[0]
            assert isinstance(name, ast.Constant), f"{path}: a failpoint by its name"
            yield str(name.value)


def _is_reach(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "reach"


def _role_of(path: Path) -> Role:
    place = path.relative_to(ROOT).as_posix()
    roles = (role for folder, role in _ROLES.items() if place.startswith(folder))
    return next(roles, "worker")
