"""An expression compiled once, and evaluated as often as there are values for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

from pydantic import JsonValue

from contracts import InvalidInput
from plans.expressions import limits
from plans.expressions.admission import admit_source, admit_tree
from plans.expressions.cheapness import is_cheap
from plans.expressions.cost import TooCostly, afford
from plans.expressions.diagnosis import (
    compile_failure,
    no_such_field,
    problem,
    run_failure,
)
from plans.expressions.guards import guards_of
from plans.expressions.paths import (
    Unreadable,
    follow,
    path_of,
    paths_in,
    project,
    shape_of,
)
from plans.expressions.programs import (
    Bound,
    Environment,
    Failed,
    Program,
    Rejected,
    environment,
)
from plans.expressions.results import plain
from plans.expressions.trees import Node, tree_of
from plans.expressions.vocabulary import CEL_WORDS

Wanted = Literal["bool", "any"]
"""What an expression is for: a condition, or any value."""


class Expression:
    """One compiled expression.

    ``names`` are the variables it reads, ``paths`` the members of them, as far as
    they are written out. Values are plain JSON with integers of 64 bits.
    """

    __slots__ = (
        "_environment",
        "_path",
        "_program",
        "_shape",
        "_tree",
        "_wants",
        "guards",
        "names",
        "paths",
        "source",
        "variables",
    )

    def __init__(
        self, source: str, program: Program, environment_: Environment, wants: Wanted
    ) -> None:
        tree = tree_of(program.serialized)
        admit_tree(tree, source)
        self.source = source
        self.variables = environment_.variables
        self.paths = frozenset(p for p in paths_in(tree) if p[0] in self.variables)
        self.names = frozenset(path[0] for path in self.paths)
        self.guards = guards_of(tree)
        self._program = program
        self._environment = environment_
        self._wants = wants
        self._path = path_of(tree) if self.paths else None
        self._shape = shape_of(self.paths)
        self._tree = None if is_cheap(tree) else tree

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    @property
    def is_weighed(self) -> bool:
        """Whether its cost depends on the values, so that each is weighed first."""
        return self._tree is not None

    def evaluate(self, values: Mapping[str, Any]) -> JsonValue:
        """The value, as fresh plain JSON.

        Raises InvalidInput: cel_no_such_field, cel_type, cel_cost_exceeded,
        number_out_of_range, number_invalid or cel_failed.
        """
        if self._path is not None:
            return self._json(self._followed(self._path, values))

        for guard in self.guards:
            if guard.excludes(values):
                return False

        data = self._projected(values)

        if self._tree is not None:
            self._weigh(self._tree, data)

        return self.run(self._environment.bind(data))

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether a condition is true; nothing but ``true`` is. Raises as evaluate."""
        return self.evaluate(values) is True

    def run(self, bound: Bound) -> JsonValue:
        """The value for values bound already, which are neither read nor weighed.

        Raises as evaluate.
        """
        try:
            result = self._program.run(bound)
        except Failed as error:
            raise run_failure(str(error), self.source) from error

        return result if type(result) is bool else self._json(result)

    def _followed(self, path: tuple[str, ...], values: Mapping[str, Any]) -> Any:
        try:
            return follow(path, values)
        except KeyError as error:
            raise no_such_field(str(error.args[0]), self.source) from error

    def _projected(self, values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return project(self._shape, values)
        except Unreadable as error:
            what = "a text it reads holds a NUL or half a character"
            raise problem("cel_failed", what, self.source) from error

    def _weigh(self, tree: Node, data: dict[str, Any]) -> None:
        try:
            afford(tree, data)
        except TooCostly as error:
            what = "it would cost too much for these values"
            raise problem("cel_cost_exceeded", what, self.source) from error

    def _json(self, result: Any) -> JsonValue:
        if self._wants == "bool" and type(result) is not bool:
            raise problem("cel_type", "it is neither true nor false", self.source)

        try:
            return plain(result)
        except InvalidInput as error:
            raise problem(error.code, error.message, self.source) from error


def compile_expression(
    source: str, variables: Iterable[str], *, wants: Wanted
) -> Expression:
    """The expression for this text, over these variables; kept for the next asker.

    Raises InvalidInput: cel_syntax (details line, column), cel_unknown_name
    (details name, allowed), cel_type, cel_too_complex, or reserved_node_id for a
    variable that is a word of CEL.
    """
    return _compiled(source, frozenset(variables), wants)


@lru_cache(maxsize=limits.PROGRAMS_KEPT)
def _compiled(source: str, variables: frozenset[str], wants: Wanted) -> Expression:
    if reserved := variables & CEL_WORDS:
        words = ", ".join(sorted(reserved))
        raise InvalidInput(
            f"a word of CEL is no name: {words}", code="reserved_node_id"
        )

    admit_source(source)
    environment_ = environment(variables)

    try:
        program = environment_.compile(source)
    except Rejected as error:
        raise compile_failure(str(error), source, variables) from error

    _admit_type(program.result_type, wants, source)
    return Expression(source, program, environment_, wants)


def _admit_type(made: str, wants: Wanted, source: str) -> None:
    if wants == "bool" and made not in ("bool", "dyn"):
        raise problem("cel_type", f"a condition is true or false, not {made}", source)

    if made.startswith("type<"):
        raise problem("cel_type", "a type is not a JSON value", source)
