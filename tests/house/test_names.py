"""Names that say something: of modules, of tests, and none of machines."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.checkout import ROOT, files, functions, place, product, python, tree

EMPTY_NAMES = frozenset(
    {"utils", "util", "helpers", "common", "manager", "base", "misc"}
)
FEWEST_WORDS = 4

MACHINES = re.compile(
    r"""(?<![\w.}])/(?:home|root|Users|work)/\w  # somebody's folder
      | pypi\.|pythonhosted\.|npmjs\.            # a registry
      | ://[^\s"'`]*/simple\b                    # its index
    """,
    re.VERBOSE,
)


def test_no_module_is_named_after_nothing_in_particular() -> None:
    empty = [
        place(path)
        for path in python()
        if EMPTY_NAMES & {*path.relative_to(ROOT).parent.parts, path.stem}
    ]

    assert empty == [], "name each after what it holds"


def test_a_test_name_is_a_requirement_of_at_least_four_words() -> None:
    terse = [
        f"{place(path, function)} {function.name}"
        for path in _test_files()
        for function in functions(path)
        if function.name.startswith("test_")
        and len(function.name.removeprefix("test_").split("_")) < FEWEST_WORDS
    ]

    assert terse == [], "say in the name what must hold"


def test_no_two_test_files_share_a_name() -> None:
    names = [path.name for path in _test_files()]

    assert sorted(names) == sorted(set(names))


def test_no_folder_of_tests_is_a_package() -> None:
    assert [
        place(path)
        for path in python()
        if path.name == "__init__.py" and "tests" in path.relative_to(ROOT).parts
    ] == []


def test_no_file_names_a_machine_a_registry_or_somebodys_folder() -> None:
    told = [
        f"{place(path)}:{number} {match[0]}"
        for path in files()
        if (text := _text(path))
        for number, line in enumerate(text.splitlines(), 1)
        if (match := MACHINES.search(line))
    ]

    assert told == [], "the project runs anywhere and names no place"


def test_every_module_opens_with_what_it_is_for() -> None:
    mute = [place(path) for path in product() if not ast.get_docstring(tree(path))]

    assert mute == [], "give each a first sentence"


def _test_files() -> tuple[Path, ...]:
    return tuple(path for path in python() if path.name.startswith("test_"))


def _text(path: Path) -> str:
    """The text of a file; nothing for one that is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
