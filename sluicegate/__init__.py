"""The whole: configuration, wiring, command line; the one place that knows it all."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
