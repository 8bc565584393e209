"""Templates: JSON whose texts may hold ``${expression}``.

A text that is one expression and nothing else becomes its value, whatever its type.
In any other text, a value that is not text is written as canonical JSON, and null as
nothing. ``$${`` stands for a plain ``${``. Keys are never templates, ``{{…}}`` is
plain text, and what an expression brings in is not looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import JsonValue

from contracts import InvalidInput, Problem, canonical, invalid, pointer
from plans.expressions import limits
from plans.expressions.expression import Expression, compile_expression
from plans.expressions.pieces import OPEN, Source, pieces_of

Escape = Callable[[str], str]
"""How text that an expression brings in is written where it goes."""

_MOST_ESCAPED = 6


class Template:
    """A compiled template. ``names`` are the variables its expressions read."""

    def __init__(
        self, root: _Part, expressions: Iterable[Expression], source_bytes: int
    ) -> None:
        self._root = root
        self._source_bytes = source_bytes
        self.expressions = tuple(expressions)
        self.names = frozenset(name for e in self.expressions for name in e.names)

    def render(
        self, values: Mapping[str, Any], escape: Escape | None = None
    ) -> JsonValue:
        """The value with all expressions evaluated, as fresh plain JSON.

        Every text an expression gives passes through ``escape``. Raises InvalidInput:
        template_too_large, or whatever an expression raises.
        """
        rendering = _Rendering(values, escape)
        result = self._root.render(rendering)
        rendering.check(result, self._source_bytes)
        return result


def compile_template(value: JsonValue, variables: Iterable[str]) -> Template:
    """The template of a JSON value over these variables.

    Raises InvalidInput for all that is wrong at once: its ``problems`` have the JSON
    Pointer of the text, and template_syntax, template_too_large or a code of
    compile_expression.
    """
    compiler = _Compiler(frozenset(variables))
    root = compiler.part(value, ())

    if compiler.problems:
        raise invalid(compiler.problems)

    source_bytes = len(canonical(value))

    if source_bytes > limits.TEMPLATE_BYTES:
        raise invalid([_problem((), InvalidInput(code="template_too_large"))])

    return Template(root, compiler.expressions, source_bytes)


class _Rendering:
    """The values of one rendering, and how much text has been made of them."""

    def __init__(self, values: Mapping[str, Any], escape: Escape | None) -> None:
        self.values = values
        self._escape = escape
        self._size = 0

    def value_of(self, expression: Expression) -> JsonValue:
        """The value of an expression, escaped if it is text."""
        value = expression.evaluate(self.values)

        if isinstance(value, str) and self._escape:
            value = self._escape(value)

        self._spend(_size(value))
        return value

    def text_of(self, expression: Expression) -> str:
        """The value of an expression as a piece of text."""
        value = self.value_of(expression)

        if value is None:
            return ""

        return value if isinstance(value, str) else canonical(value).decode()

    def check(self, result: JsonValue, source_bytes: int) -> None:
        """Refuse a result that is too large; the exact size is seldom needed."""
        if self._size * _MOST_ESCAPED + source_bytes > limits.TEMPLATE_BYTES:
            self._size = 0
            self._spend(len(canonical(result)))

    def _spend(self, size: int) -> None:
        self._size += size

        if self._size > limits.TEMPLATE_BYTES:
            raise InvalidInput(code="template_too_large")


def _size(value: JsonValue) -> int:
    """The least number of bytes the value takes."""
    if isinstance(value, str):
        return len(value)

    return len(canonical(value)) if isinstance(value, list | dict) else 1


class _Part(Protocol):
    """A part of a template."""

    def render(self, rendering: _Rendering) -> JsonValue:
        """Its value for this rendering."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A scalar without expressions."""

    value: bool | int | float | str | None

    def render(self, rendering: _Rendering) -> JsonValue:
        return self.value


@dataclass(frozen=True, slots=True)
class _Value:
    """A text that is one expression."""

    expression: Expression

    def render(self, rendering: _Rendering) -> JsonValue:
        return rendering.value_of(self.expression)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with expressions in it."""

    pieces: tuple[str | Expression, ...]

    def render(self, rendering: _Rendering) -> JsonValue:
        return "".join(
            piece if isinstance(piece, str) else rendering.text_of(piece)
            for piece in self.pieces
        )


@dataclass(frozen=True, slots=True)
class _List:
    parts: tuple[_Part, ...]

    def render(self, rendering: _Rendering) -> JsonValue:
        return [part.render(rendering) for part in self.parts]


@dataclass(frozen=True, slots=True)
class _Object:
    parts: dict[str, _Part]

    def render(self, rendering: _Rendering) -> JsonValue:
        return {key: part.render(rendering) for key, part in self.parts.items()}


Path = tuple[str | int, ...]
"""Where in the template's value a part is."""


class _Compiler:
    """Compiles all texts of a value, and collects what is wrong with them."""

    def __init__(self, variables: frozenset[str]) -> None:
        self.problems: list[Problem] = []
        self.expressions: list[Expression] = []
        self._variables = variables

    def part(self, value: JsonValue, path: Path) -> _Part:
        """The part for a value; None's if there is a problem."""
        if len(path) > limits.TEMPLATE_DEPTH:
            deep = InvalidInput("it nests too deeply", code="template_too_large")
            return self._refused(path, deep)

        if isinstance(value, str):
            return self._text(value, path) if OPEN in value else _Fixed(value)

        if isinstance(value, list):
            return _List(tuple(self.part(v, (*path, i)) for i, v in enumerate(value)))

        if isinstance(value, dict):
            return _Object({k: self.part(v, (*path, k)) for k, v in value.items()})

        return _Fixed(value)

    def _text(self, text: str, path: Path) -> _Part:
        try:
            pieces = [self._piece(piece, path) for piece in pieces_of(text)]
        except InvalidInput as error:
            return self._refused(path, error)

        if any(isinstance(piece, Expression) for piece in pieces):
            return _joined(pieces)

        return _Fixed("".join(map(str, pieces)))

    def _piece(self, piece: str | Source, path: Path) -> str | Expression:
        if isinstance(piece, str):
            return piece

        try:
            found = compile_expression(piece.text, self._variables, wants="any")
        except InvalidInput as error:
            self._refused(path, error)
            return ""

        self.expressions.append(found)
        return found

    def _refused(self, path: Path, error: InvalidInput) -> _Part:
        self.problems.append(_problem(path, error))
        return _Fixed(None)


def _problem(path: Path, error: InvalidInput) -> Problem:
    return Problem(pointer=pointer(path), code=error.code, message=error.message)


def _joined(pieces: list[str | Expression]) -> _Part:
    (first, *others) = pieces
    return (
        _Value(first)
        if isinstance(first, Expression) and not others
        else _Text(tuple(pieces))
    )
