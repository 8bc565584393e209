"""The runbook: it says of every alarm what it means and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.checkout import ROOT

PACKAGES = ("agents", "bus", "gateways", "runs", "sluicegate", "store")
ALARM = re.compile(
    r"""alarm\(\s*"([a-z_]+)"   # an alarm of the bus or the policy
      | alarm="([a-z_]+)"       # one that is logged as it is
      | Chore\("([a-z_-]+)"     # what failed of its own accord
      | \("\w+",\ "(bus_\w+)"\) # how a Redis must not be set
    """,
    re.VERBOSE,
)


def alarms() -> Iterator[str]:
    """The alarms that the source names."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for found in ALARM.finditer(path.read_text(encoding="utf-8")):
                yield next(filter(None, found.groups()))


def test_the_runbook_knows_every_alarm_and_what_to_do() -> None:
    said, named = (ROOT / "docs" / "runbook.md").read_text("utf-8"), set(alarms())

    assert {alarm for alarm in named if f"`{alarm}`" not in said} == set()
    assert {"unsigned", "sealer", "bus_evicts", "http_failed"} <= named
