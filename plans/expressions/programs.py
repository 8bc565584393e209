"""The one module that knows the CEL library: environments and compiled programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from cel_expr_python import cel  # type: ignore[import-untyped]
from cel_expr_python.ext import (  # type: ignore[import-untyped]
    ext_math,
    ext_optional,
    ext_strings,
)

from plans.expressions import limits

Bound = object
"""Values ready to be read by any program of the environment that bound them."""

_ERROR = cel.Type.ERROR
_EXTENSIONS = (
    ext_strings.ExtStrings(),
    ext_optional.ExtOptional(),
    ext_math.ExtMath(),
)


class _Type(Protocol):
    def name(self) -> str: ...


class _Value(Protocol):
    def type(self) -> object: ...
    def plain_value(self) -> Any: ...


class _Compiled(Protocol):
    def eval(self, activation: Bound, /) -> _Value: ...
    def serialize(self) -> bytes: ...
    def return_type(self) -> _Type: ...


class Rejected(Exception):
    """The library does not compile this text; the argument is what it said."""


class Failed(Exception):
    """A program came to no value; the argument is what the library said."""


class Program:
    """One compiled expression.

    ``result_type`` is its static type in small letters, ``dyn`` if it is not known.
    """

    __slots__ = ("_eval", "_program", "result_type")

    def __init__(self, program: _Compiled) -> None:
        self._program = program
        self._eval = program.eval
        self.result_type = program.return_type().name().lower()

    @property
    def serialized(self) -> bytes:
        """The checked syntax tree, as ``google.protobuf.Any``."""
        return self._program.serialize()

    def run(self, bound: Bound) -> Any:
        """The result in the library's Python types. Raises Failed."""
        try:
            value = self._eval(bound)
            result = value.plain_value()
        except (RuntimeError, TypeError, ValueError, SystemError) as error:
            raise Failed(str(error)) from error

        if type(result) is str and value.type() == _ERROR:
            raise Failed(result)

        return result


class Environment:
    """Compiles expressions over one set of variables, and binds their values."""

    def __init__(self, variables: frozenset[str]) -> None:
        types = dict.fromkeys(variables, cel.Type.DYN)
        self._env = cel.NewEnv(variables=types, extensions=list(_EXTENSIONS))
        self.variables = variables
        self.bind: Callable[[Mapping[str, Any]], Bound] = self._env.Activation

    def compile(self, source: str) -> Program:
        """The program of a source text. Raises Rejected."""
        try:
            return Program(self._env.compile(source))
        except (RuntimeError, TypeError, ValueError) as error:
            raise Rejected(str(error)) from error


@lru_cache(maxsize=limits.ENVIRONMENTS_KEPT)
def environment(variables: frozenset[str]) -> Environment:
    """The environment of a set of variables; the same one for the same set."""
    return Environment(variables)
