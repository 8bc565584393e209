"""Short, with a short tail: functions, modules and parameters, measured."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median, quantiles

from tests.support.checkout import functions, place, product

MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_MODULE = 400


def test_no_function_body_is_longer_than_a_screen() -> None:
    bodies = {
        f"{place(path, function)} {function.name}": _lines(function)
        for path in product()
        for function in functions(path)
    }
    _report("function bodies", list(bodies.values()))
    long = _over(bodies, MOST_LINES_OF_A_FUNCTION)

    assert long == {}, "a step of each of these deserves a name of its own"


def test_no_module_is_longer_than_one_idea() -> None:
    modules = {place(path): _length(path) for path in product()}
    _report("modules", list(modules.values()))
    long = _over(modules, MOST_LINES_OF_A_MODULE)

    assert long == {}, "each of these holds more than one idea"


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _over(sizes: dict[str, int], most: int) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size > most}


def _report(what: str, sizes: list[int]) -> None:
    ninetieth = quantiles(sizes, n=10)[-1]
    print(
        f"{what}: {len(sizes)}, median {median(sizes):.0f}, "
        f"90 % within {ninetieth:.0f}, longest {max(sizes)}"
    )
