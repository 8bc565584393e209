"""Credentials of tools: named in the configuration, read from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from contracts import ConfigurationError
from runs import Credential
from sluicegate import config


def credentials(settings: config.Settings) -> dict[str, Credential]:
    """The credentials by name; their secrets are read at each call.

    Raises ConfigurationError for one that names neither or both sources.
    """
    return {
        name: Credential(
            header=section.header,
            hosts=section.hosts,
            read=_source(name, section),
            owner=section.owner,
        )
        for name, section in settings.credentials.items()
    }


def _source(name: str, section: config.Credential) -> Callable[[], str]:
    if bool(section.env) == bool(section.file):
        raise ConfigurationError(f"credentials.{name}: name one of env and file")

    if section.file:
        return lambda: Path(section.file).read_text("utf-8").strip()

    return lambda: os.environ[section.env]
