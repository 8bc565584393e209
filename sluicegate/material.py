"""Key material of an installation: the seal key and the first admin key.

Embedded, both are made at the first start and kept in ``data_dir``, readable by
their owner only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from contracts import ConfigurationError, Seals, digest_of

_LEAST_SECRET = 32


def open_seals(data_dir: Path, *, given: str = "", file: str = "") -> Seals:
    """The seals of this installation, made at the first start if nothing is given.

    Raises ConfigurationError for a key of fewer than 32 bytes, and for a file that
    cannot be read.
    """
    text = given or (_read(Path(file)) if file else _kept(data_dir / "seal.key"))
    key = text.strip().encode()
    if len(key) < _LEAST_SECRET:
        raise ConfigurationError(
            f"keys.seal: a seal key has at least {_LEAST_SECRET} bytes"
        )

    key_id = digest_of(b"sluicegate.seal.id\x00" + key)[7:19]
    return Seals({key_id: key}, key_id)


def keep(path: Path, text: str) -> None:
    """Write a secret to a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.fresh")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())

    fresh.replace(path)


def _kept(path: Path) -> str:
    if not path.exists():
        keep(path, secrets.token_urlsafe(48))

    return _read(path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: this is no text") from error
