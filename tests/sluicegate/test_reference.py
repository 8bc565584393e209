"""The rendered pages of the documentation are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.reference import PAGES

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_rendered_page_says_what_the_code_says(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")

    assert page == PAGES[name](), "run: python -m sluicegate.reference"
