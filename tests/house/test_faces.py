"""Each package has a face: what ``__all__`` says is what there is, both ways."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT, product, tree

STREETS = ("agents", "gateways")
"""Packages whose rooms are reached one by one, each with a face of its own."""

FACES = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for path in product()
    if path.name == "__init__.py"
    and (path.parent.parent == ROOT or path.parent.parent.name in STREETS)
)


@pytest.mark.parametrize("face", FACES)
def test_a_face_shows_exactly_what_it_says(face: str) -> None:
    shown = set(_shown(ROOT / face / "__init__.py", face.replace("/", ".")))

    assert _said(face) == shown, f"make __all__ of {face}/__init__.py say what it shows"


def test_whatever_an_all_names_can_be_imported() -> None:
    modules = (_module(path) for path in product() if "__all__" in path.read_text())
    lacking = [
        f"{module}.{name}"
        for module in modules
        for name in _said(module)
        if not hasattr(importlib.import_module(module), name)
    ]

    assert lacking == []


def test_every_top_level_folder_with_code_is_a_package() -> None:
    bare = {
        path.parent.relative_to(ROOT).as_posix()
        for path in product()
        if not (path.parent / "__init__.py").exists()
    }

    assert bare == set(), "give each an __init__.py with one sentence"


def _said(face: str) -> set[str]:
    module = importlib.import_module(face.replace("/", "."))
    return {name for name in getattr(module, "__all__", ()) if name[0] != "_"}


def _shown(path: Path, package: str) -> Iterator[str]:
    """Public names that a face defines, or takes from a module of its own."""
    for node in tree(path).body:
        yield from (name for name in _bound(node, package) if name[0] != "_")


def _bound(node: ast.stmt, package: str) -> list[str]:
    match node:
        case ast.ImportFrom(module=str(source)) if f"{source}.".startswith(
            f"{package}."
        ):
            return [alias.asname or alias.name for alias in node.names]
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            return [name.id for name in node.targets if isinstance(name, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _module(path: Path) -> str:
    place = path.relative_to(ROOT).with_suffix("")
    return ".".join(place.parts).removesuffix(".__init__")
