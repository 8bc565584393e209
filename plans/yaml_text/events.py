"""The events of a YAML text; what is never taken is refused where it begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.events import Event
from ruamel.yaml.scanner import Scanner

from contracts import CODES, InvalidInput, Problem, invalid


def events_of(text: str) -> Iterator[Event]:
    """The parser's events, made as they are asked for.

    Raises InvalidInput: yaml_invalid (also for tags and directives) or
    yaml_alias_not_allowed.
    """
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _StrictScanner
    try:
        yield from parser.parse(text)
    except MarkedYAMLError as error:
        problem = error.problem or error.context or "something is missing"
        message = f"The YAML cannot be read: {problem}."
        raise refused("yaml_invalid", message, error.problem_mark) from error
    except (YAMLError, ValueError, OverflowError) as error:
        message = "The YAML holds a character that may not stand in it."
        raise refused("yaml_invalid", message) from error


def refused(
    code: str, message: str = "", mark: StreamMark | None = None
) -> InvalidInput:
    """The error of this code, with the place as ``line:column`` from 1."""
    place = f"{mark.line + 1}:{mark.column + 1}" if mark is not None else "/"
    sentence = message or CODES[code].sentence
    return invalid([Problem(pointer=place, code=code, message=sentence)])


class _StrictScanner(Scanner):
    """A scanner that stops at aliases, anchors, tags and directives."""

    def fetch_alias(self) -> NoReturn:
        raise refused("yaml_alias_not_allowed", mark=self.reader.get_mark())

    fetch_anchor = fetch_alias

    def fetch_tag(self) -> NoReturn:
        message = "Tags are not allowed."
        raise refused("yaml_invalid", message, self.reader.get_mark())

    def fetch_directive(self) -> NoReturn:
        message = "Directives are not allowed."
        raise refused("yaml_invalid", message, self.reader.get_mark())
