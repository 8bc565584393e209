"""Slugs: what a published endpoint is called in its URL."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_FORM = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OURS = """
    .well-known admin api assets auth bridge console docs ex favicon.ico health
    healthz internal login logout metrics openapi public readyz robots.txt session
    sitemap.xml static system telegram webhook webhooks
"""
_DEVICES = """
    aux com1 com2 com3 com4 com5 com6 com7 com8 com9 con
    lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 nul prn
"""

RESERVED = frozenset(_OURS.split() + _DEVICES.split())
"""Slugs nobody gets: our own paths, and names that file systems keep."""


def _slug(text: str) -> str:
    if text in RESERVED:
        raise PydanticCustomError("slug_reserved", "The slug is reserved")

    if not _FORM.fullmatch(text):
        raise PydanticCustomError(
            "invalid", "A slug is 1 to 63 of a-z, 0-9 and -, and does not begin with -"
        )

    return text


Slug = Annotated[str, AfterValidator(_slug)]
"""Lower-case letters, digits and ``-``; not reserved."""
