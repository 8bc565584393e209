"""Log lines: one a fact, JSON in files, coloured on a terminal, no secrets.

Redaction happens once, at the sink: by the name of a key, by known values, and by
the form of a token.
"""

from __future__ import annotations

import atexit
import base64
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = logging.getLevelNamesMapping()
_SECRET_KEYS = re.compile(
    r"(?i)secret|passw|passphrase|authorization|bearer|cookie|credential"
    r"|(api|private)_?key|(^|[_-])token$|seal$"
)
_TOKENS = re.compile(
    r"(?<!m)sg_[0-9a-z]{1,64}_[A-Za-z0-9_-]{16,}|Bearer\s+[^\s\"\\]{8,}"
)
"""Keys of ours, and whatever is sent as one; a message's id begins ``msg_``."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNSEEN = re.compile(r"[\x7f-\x9f]")
"""Control characters that JSON does not escape."""

_HIDDEN = "[redacted]"
_NESTED = frozenset({dict, list, tuple})
_JSON_IN_JSON = 3
"""How often JSON may stand in JSON, the line itself included."""

_LEAST_SECRET = 8
"""A shorter value would hide too much that is none."""

_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=str
).encode


class Redaction:
    """Hides secrets in a line, however they are written."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known`` are secret values that never may be shown, 8 characters or more."""
        values = {value for value in known if len(value) >= _LEAST_SECRET}
        forms = {form for value in values for form in _forms(value)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def of_line(self, line: EventDict) -> EventDict:
        """The line without what stands under a key that names a secret."""
        return {
            key: _HIDDEN
            if _names_secret(key)
            else _hidden(value)
            if type(value) in _NESTED
            else value
            for key, value in line.items()
        }

    def of_text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, _HIDDEN)

        return _TOKENS.sub(_HIDDEN, text)


def _hidden(value: Any) -> Any:
    """A value without what stands in it under a key that names a secret."""
    if isinstance(value, dict):
        return {
            str(key): _HIDDEN if _names_secret(str(key)) else _hidden(inside)
            for key, inside in value.items()
        }

    return list(map(_hidden, value)) if isinstance(value, list | tuple) else value


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may stand in a text: Python's, JSON, a URL, base 64."""
    in_json = {secret, repr(secret)[1:-1]}
    for _ in range(_JSON_IN_JSON):
        in_json |= {form for text in in_json for form in _in_json(text)}

    yield from in_json
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    for shift in range(3):
        inside = _in_base64(secret.encode(), shift)
        yield inside
        yield inside.replace("+", "-").replace("/", "_")


def _in_json(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]


def _in_base64(secret: bytes, shift: int) -> str:
    """What base 64 of any text shows of a secret that begins there, modulo 3."""
    whole = base64.b64encode(bytes(shift) + secret).decode().rstrip("=")
    spoiled = (len(secret) + shift) % 3 != 0
    return whole[(0, 2, 3)[shift] : -1 if spoiled else None]


def _visible(value: Any) -> Any:
    """A value whose control characters do nothing to a terminal."""
    if isinstance(value, str) and _CONTROL.search(value):
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)

    return value


@lru_cache(maxsize=4_096)
def _names_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


class _Sink:
    """Where lines go: a terminal, a file, or both."""

    def __init__(self, terminal: TextIO | None, file: TextIO | None) -> None:
        self._terminal = terminal
        self._file = file

    def write(self, *, shown: str, kept: str) -> None:
        """Print one line and keep one line; an empty one is left out."""
        if shown:
            print(shown, file=self._terminal)

        if kept and self._file is not None:
            self._file.write(kept + "\n")

    debug = info = warning = error = critical = write


class _Rendering:
    """The last processor: one line for the terminal, one for the file."""

    def __init__(
        self, terminal: TextIO | None, wanted: int, style: str, redaction: Redaction
    ) -> None:
        tty = terminal is not None and terminal.isatty()
        plain = style == "json" or (style == "auto" and not tty)
        self._pretty = None if plain else structlog.dev.ConsoleRenderer(colors=tty)
        self._wanted = wanted if terminal is not None else sys.maxsize
        self._redaction = redaction

    def __call__(
        self, logger: WrappedLogger, method: str, line: EventDict
    ) -> Mapping[str, str]:
        """The arguments of the sink."""
        level = _LEVELS[method.upper()]
        said = self._redaction.of_line(line)
        kept = self._redaction.of_text(_encode(said))
        if not kept.isascii() or "\x7f" in kept:
            kept = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", kept)

        shown = self._shown(logger, method, said, kept) if level >= self._wanted else ""
        return {"shown": shown, "kept": kept}

    def _shown(
        self, logger: WrappedLogger, method: str, said: EventDict, kept: str
    ) -> str:
        if self._pretty is None:
            return kept

        visible = {key: _visible(value) for key, value in said.items()}
        return self._redaction.of_text(str(self._pretty(logger, method, visible)))


def _stamped(_: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """When and how loud, before everything else."""
    now = time.time()
    whole = _second(int(now))
    return {
        "timestamp": f"{whole}.{int(now % 1 * 1_000):03d}Z",
        "level": method,
        "event": line.pop("event", ""),
        **line,
    }


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def configure_logs(
    *,
    level: str = "info",
    style: str = "auto",
    file: Path | None = None,
    terminal_level: str = "",
    secrets: Iterable[str] = (),
) -> None:
    """Send log lines to standard error and, as JSON lines, to a file.

    ``style`` is ``json``, ``console`` or ``auto`` (console on a terminal).
    ``terminal_level`` keeps the terminal quieter than the file, ``off`` silent.
    What libraries warn of is among the lines. No line shows one of ``secrets``.
    """
    quiet = terminal_level == "off"
    terminal = None if quiet else sys.stderr
    wanted = _LEVELS[
        (terminal_level if terminal_level and not quiet else level).upper()
    ]
    sink = _Sink(terminal, _open(file))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _stamped,
            structlog.processors.format_exc_info,
            _Rendering(terminal, wanted, style, Redaction(secrets)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    _hear_libraries()


def _hear_libraries() -> None:
    root = logging.getLogger()
    for earlier in root.handlers[:]:
        if isinstance(earlier, _FromLibraries):
            root.removeHandler(earlier)

    root.addHandler(_FromLibraries())
    root.setLevel(logging.WARNING)


class _FromLibraries(logging.Handler):
    """Takes what libraries log, so that it goes through the same sink."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it as an alarm: libraries only warn of what should not be."""
        structlog.get_logger(record.name).log(
            min(record.levelno // 10 * 10, logging.CRITICAL),
            "alarm",
            alarm="library",
            logger=record.name,
            said=record.getMessage(),
            exc_info=record.exc_info,
        )


def _open(file: Path | None) -> TextIO | None:
    if file is None:
        return None

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    opened = os.fdopen(handle, "a", encoding="utf-8", buffering=1)
    atexit.register(opened.close)
    return opened
