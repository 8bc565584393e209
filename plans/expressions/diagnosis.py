"""Turns what the CEL library says about an expression into our own errors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from contracts import InvalidInput
from plans.expressions import limits
from plans.expressions.vocabulary import FUNCTIONS

_PLACE = re.compile(r"<input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^'.]*)")
_OVERLOAD = re.compile(r"no matching overload for '([^']*)' applied to '\((.*)\)'")
_TOO_DEEP = re.compile(r"recursion|codepoint limit")
_ILL_TYPED = re.compile(r"^expression of type|invalid (single )?argument")
_KEY = re.compile(r'"(.*)"', re.DOTALL)


def excerpt(text: str, length: int = limits.EXCERPT) -> str:
    """The beginning of a text, on one line and printable, for a message."""
    line = " ".join(text[: 2 * length].split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    whole = len(line) <= length and len(text) <= 2 * length
    return line if whole else line[: length - 1] + "…"


def problem(code: str, what: str, source: str) -> InvalidInput:
    """An error that says what is wrong with an expression and shows its beginning."""
    return InvalidInput(f"{what}, in `{excerpt(source)}`", code=code)


def compile_failure(
    complaint: str, source: str, variables: Iterable[str]
) -> InvalidInput:
    """The error for what the library said when it compiled ``source``."""
    place = _PLACE.search(complaint)

    if place is None or _TOO_DEEP.search(complaint):
        return _unplaced(complaint, source)

    line, column, said = int(place[1]), int(place[2]), place[3]

    if undeclared := _UNDECLARED.search(said):
        called = _character(source, line, column) == "("
        return unknown_name(undeclared[1], FUNCTIONS if called else variables, source)

    if overload := _OVERLOAD.search(said):
        what = f"{_operator(overload[1])} does not take ({overload[2]})"
        return problem("cel_type", what, source)

    if _ILL_TYPED.search(said):
        return problem("cel_type", said, source)

    return _syntax(said, line, column)


def _unplaced(complaint: str, source: str) -> InvalidInput:
    if _TOO_DEEP.search(complaint):
        return problem("cel_too_complex", "it nests too deeply", source)

    if "map key type" in complaint:
        return problem("cel_type", "a map's key must be text", source)

    return problem("cel_syntax", "it cannot be read", source)


def unknown_name(name: str, allowed: Iterable[str], source: str) -> InvalidInput:
    """The error for a name nobody declared; ``details`` list those that are known."""
    known = sorted(allowed)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return InvalidInput(
        f"{excerpt(name, limits.DETAIL)} is not known here{hint}"
        f" (in `{excerpt(source)}`)",
        code="cel_unknown_name",
        details={"name": excerpt(name), "allowed": known},
    )


def _syntax(said: str, line: int, column: int) -> InvalidInput:
    what = said.removeprefix("Syntax error: ").partition(" expecting ")[0]
    what = "it ends too soon" if "<EOF>" in what else excerpt(what, 2 * limits.DETAIL)
    return InvalidInput(
        f"syntax error at line {line}, column {column}: {what}",
        code="cel_syntax",
        details={"line": line, "column": column},
    )


def _operator(function: str) -> str:
    return function.strip("_@").replace("_", " ")


def _character(source: str, line: int, column: int) -> str:
    """The character at a place, both counted from one; nothing beyond the end."""
    text = source.split("\n")[line - 1]
    return text[column - 1 : column]


_FAILURES = (
    ("Key not found in map", "cel_no_such_field", "there is no field"),
    ("No value with name", "cel_no_such_field", "there is no value yet for"),
    ("Applying SELECT", "cel_no_such_field", "it reads a field of what has none"),
    ("Index error", "cel_no_such_field", "it reads what a list does not hold"),
    ("optional.none()", "cel_no_such_field", "it takes the value of nothing"),
    ("No matching overloads", "cel_type", "it mixes types"),
    ("Invalid container type", "cel_type", "only lists and maps have an index"),
    ("Invalid map key type", "cel_type", "a key is not text"),
    ("cannot be converted", "cel_type", "it holds what JSON cannot say"),
    ("Iteration budget", "cel_cost_exceeded", "its loops go round too often"),
    ("Integer value", "number_out_of_range", "a number is beyond 64 bits"),
    ("by zero", "cel_failed", "it divides by zero"),
    ("regular expression", "cel_failed", "its pattern is not a valid one"),
    ("overflow", "cel_failed", "a number becomes too large"),
    ("out of", "cel_failed", "a number or a place is out of range"),
    ("conver", "cel_failed", "a value cannot be converted"),
    ("duplicate key", "cel_failed", "a map has one key twice"),
    ("", "cel_failed", "it cannot be computed"),
)
"""What the library says, the code for it, and our words; the first that fits."""


def run_failure(complaint: str, source: str) -> InvalidInput:
    """The error for what the library said when it ran ``source``."""
    code, what = next(
        (code, what) for needle, code, what in _FAILURES if needle in complaint
    )
    name = _KEY.search(complaint) if what.startswith("there is no") else None
    named = f"{what} {excerpt(name[1], limits.DETAIL)}" if name else what
    return problem(code, named, source)


def no_such_field(name: str, source: str) -> InvalidInput:
    """The error for a member that is not there, or that nothing has produced yet."""
    what = f"there is no field {excerpt(name, limits.DETAIL)}"
    return problem("cel_no_such_field", what, source)
