"""One figure, as one JSON line."""

from __future__ import annotations

import json


def report(what: str, case: str, value: float, unit: str, **more: float) -> None:
    """Print a figure; ``more`` holds further figures of the same case."""
    figures = {name: round(number, 3) for name, number in more.items()}
    line = {"what": what, "case": case, "value": round(value, 3), "unit": unit}
    print(json.dumps({**line, **figures}), flush=True)
