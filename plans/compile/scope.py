"""A scope: the names one place of a workflow may use, and what was wrong there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from contracts import InvalidInput, JsonObject, Problem, pointer
from plans.expressions import (
    Expression,
    Template,
    Wanted,
    compile_expression,
    compile_template,
)
from plans.schemas import Schema, compile_schema

ALWAYS = frozenset({"start", "run"})
"""The names every expression of a workflow may use."""

_SHOWN_NAMES = 20
_MOST_PLACED = 100


@dataclass(slots=True)
class Problems:
    """Problems as they are found, with pointers below one place."""

    at: str = ""
    found: list[Problem] = field(default_factory=list)

    def tell(self, pointer: str, code: str, message: str) -> None:
        """Note a problem."""
        where = f"{self.at}{pointer}" or "/"
        self.found.append(Problem(pointer=where, code=code, message=message))

    def take(self, pointer: str, error: InvalidInput, hint: str = "") -> None:
        """Note all that an error says of the value at this pointer.

        ``hint`` follows what is said of a name nobody knows.
        """
        whole = {"pointer": "/", "code": error.code, "message": error.message}
        for told in error.details.get("problems", [whole]):
            inner = told["pointer"].rstrip("/")
            more = f".{hint}" if told["code"] == "cel_unknown_name" else ""
            self.tell(f"{pointer}{inner}", told["code"], f"{told['message']}{more}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where expressions stand: ``known`` names may be used, ``later`` ones exist.

    All names together are one environment, so that a workflow has a single one.
    """

    known: frozenset[str]
    later: frozenset[str]
    problems: Problems

    def expression(self, source: str, at: str, wants: Wanted) -> Expression | None:
        """The compiled expression, or None with its problems noted."""
        try:
            made = compile_expression(source, self.known | self.later, wants=wants)
        except InvalidInput as error:
            self.problems.take(at, error, self._told_names())
            return None

        self._check_names(made.names, at)
        return made

    def template(self, value: JsonValue, at: str) -> Template | None:
        """The compiled template, or None with its problems noted."""
        try:
            made = compile_template(value, self.known | self.later)
        except InvalidInput as error:
            self.problems.take(at, error, self._told_names())
            return None

        if made.names & self.later:
            for expression in made.expressions[:_MOST_PLACED]:
                place = _place_of(expression.source, value)
                self._check_names(expression.names, f"{at}{place}")

        return made

    def schema(self, schema: JsonObject, at: str) -> Schema | None:
        """The compiled schema; None for an empty one, or with its problems noted."""
        if not schema:
            return None

        try:
            return compile_schema(schema)
        except InvalidInput as error:
            self.problems.take(at, error)
            return None

    def _check_names(self, names: Collection[str], at: str) -> None:
        for name in sorted(set(names) & self.later):
            message = f"{name} cannot have run before this.{self._told_names()}"
            self.problems.tell(at, "unreachable_reference", message)

    def _told_names(self) -> str:
        names = sorted(self.known)
        more = "…" if len(names) > _SHOWN_NAMES else ""
        return f" Known here: {', '.join(names[:_SHOWN_NAMES])}{more}."


def _place_of(source: str, value: Any) -> str:
    """The pointer of the first text that holds this expression."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        place, part = waiting.pop(0)
        if isinstance(part, str) and source in part:
            return place

        if isinstance(part, dict):
            waiting += [(f"{place}{pointer([k])}", v) for k, v in part.items()]
        elif isinstance(part, list):
            waiting += [(f"{place}/{n}", v) for n, v in enumerate(part)]

    return ""
