"""Log lines: one a fact, JSON in files, coloured on a terminal, no secrets.

Redaction happens once, at the sink: by the name of a key, by known values, and by
the form of a token.
"""

from __future__ import annotations

import atexit
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = logging.getLevelNamesMapping()
_SECRET_KEYS = re.compile(
    r"(?i)secret|token|password|passwd|authorization|api_?key|credential|cookie|seal$"
)
_TOKENS = r"sg_[0-9a-z]{1,64}_[A-Za-z0-9_-]{16,}|Bearer\s+[^\s\"\\]{8,}"
_HIDDEN = "[redacted]"

_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=str
).encode


class Redaction:
    """Hides secrets in a rendered line."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known`` are secret values that never may be shown, 8 characters or more."""
        values = {v for v in known if len(v) >= 8}
        forms = sorted(values | {json.dumps(v)[1:-1] for v in values}, reverse=True)
        self._secrets = re.compile("|".join([*map(re.escape, forms), _TOKENS]))

    def of_keys(self, line: EventDict) -> EventDict:
        """The line without the values of keys that name a secret."""
        return {k: _HIDDEN if _is_secret(k) else v for k, v in line.items()}

    def of_text(self, text: str) -> str:
        """The text without secrets."""
        return self._secrets.sub(_HIDDEN, text)


@lru_cache(maxsize=4_096)
def _is_secret(key: str) -> bool:
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
        said = self._redaction.of_keys(line)
        kept = self._redaction.of_text(_encode(said))
        shown = self._shown(logger, method, said, kept) if level >= self._wanted else ""
        return {"shown": shown, "kept": kept}

    def _shown(
        self, logger: WrappedLogger, method: str, said: EventDict, kept: str
    ) -> str:
        if self._pretty is None:
            return kept

        return self._redaction.of_text(str(self._pretty(logger, method, dict(said))))


def _stamped(_: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """When and how loud, before everything else."""
    now = time.time()
    whole = _second(int(now))
    return {
        "timestamp": f"{whole}.{int(now % 1 * 1_000):03d}Z",
        "level": "error" if method == "exception" else method,
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
    logging.basicConfig(level=logging.WARNING)


def _open(file: Path | None) -> TextIO | None:
    if file is None:
        return None

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = file.open("a", encoding="utf-8", buffering=1)
    atexit.register(opened.close)
    return opened
