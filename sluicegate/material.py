"""Key material of an installation: the keys of seals, of the bus, of the first admin.

Embedded, what is needed is made at the first start and kept in ``data_dir``, readable
by its owner only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from contracts import ConfigurationError, Seals, digest_of
from sluicegate.variables import variable

_LEAST_SECRET = 32


def open_seals(
    data_dir: Path, *, given: str = "", file: str = "", shared: bool = False
) -> Seals:
    """The seals of this installation, made at the first start if nothing is given.

    With ``shared``, other processes need the same key, so one must be given. Raises
    ConfigurationError then, for a key of fewer than 32 bytes, and for a file that
    cannot be read.
    """
    key = _given("keys.seal", given, file)
    if not key and shared:
        raise _not_given("keys.seal")

    if not key:
        key = _read(_kept(data_dir / "seal.key")).strip().encode()

    key_id = digest_of(b"sluicegate.seal.id\x00" + key)[7:19]
    return Seals({key_id: key}, key_id)


def open_bus_key(*, given: str = "", file: str = "") -> bytes:
    """The key that signs every message on a shared bus.

    Raises ConfigurationError if there is none, or as ``open_seals`` does.
    """
    key = _given("keys.bus", given, file)
    if not key:
        raise _not_given("keys.bus")

    return key


def keep(path: Path, text: str) -> None:
    """Write a secret to a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.fresh")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())

    fresh.replace(path)


def _given(name: str, text: str, file: str) -> bytes:
    """The key that was given as text or in a file; empty if none was."""
    if not text and not file:
        return b""

    key = (text or _read(Path(file))).strip().encode()
    if len(key) < _LEAST_SECRET:
        raise ConfigurationError(f"{name}: a key has at least {_LEAST_SECRET} bytes")

    return key


def _not_given(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name}: processes that share a bus share this key; set {variable(name)} or "
        f"{name}_file"
    )


def _kept(path: Path) -> Path:
    if not path.exists():
        keep(path, secrets.token_urlsafe(48))

    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: this is no text") from error
