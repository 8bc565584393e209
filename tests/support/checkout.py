"""The checkout as the house tests read it: files and syntax trees, nothing imported."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent

_NOT_PRODUCT = frozenset(
    {"bench", "build", "dist", "docs", "examples", "scripts", "tests", "var"}
)
_MADE = frozenset({"__pycache__", "build", "dist", "node_modules", "var"})
"""Folders that tools and the running program make."""


@cache
def packages() -> tuple[str, ...]:
    """The top-level packages of the product, as the folders at the root say."""
    tops = {path.relative_to(ROOT).parts[0] for path in python() if path.parent != ROOT}
    return tuple(sorted(tops - _NOT_PRODUCT))


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the project, whether committed yet or not."""
    return tuple(_walk())


def product() -> tuple[Path, ...]:
    """Every Python file of the top-level packages."""
    return tuple(
        path for path in python() if path.relative_to(ROOT).parts[0] in packages()
    )


def python() -> tuple[Path, ...]:
    """Every Python file."""
    return tuple(path for path in files() if path.suffix == ".py")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.stmt | ast.expr | None = None) -> str:
    """Where something is, as an editor opens it."""
    name = path.relative_to(ROOT).as_posix()
    return f"{name}:{node.lineno}" if node else name


def functions(
    path: Path,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def pyproject() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _walk() -> Iterator[Path]:
    for folder, below, names in os.walk(ROOT):
        below[:] = sorted(name for name in below if _is_ours(name))
        yield from (Path(folder, name) for name in sorted(names))


def _is_ours(folder: str) -> bool:
    return folder == ".ci" or not (folder.startswith(".") or folder in _MADE)
