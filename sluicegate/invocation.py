"""How the command line is called: by its name, or by the script of a checkout."""

from __future__ import annotations

from pathlib import Path

_IS_INSTALLED = (Path(__file__).resolve().parent / "config.toml").is_file()

COMMAND = "sluicegate" if _IS_INSTALLED else "scripts/sluicegate"
"""What a person types before the name of a command."""
