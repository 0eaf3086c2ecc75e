"""Every recipe of the cookbook, and every part of the concepts, prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import recipes, wrong_steps

OWN_BOOKS = pytest.mark.other_books("a client of its own is on the emulator")
PLAYED = [
    pytest.param(page, text, marks=OWN_BOOKS if "AsyncAnthropic" in text else (), id=heading)
    for page in ("docs/concepts.md", "docs/cookbook.md", "docs/formats.md")
    for heading, text in recipes(page).items()
]


@pytest.mark.parametrize(("page", "text"), PLAYED)
def test_a_recipe_prints_what_its_page_shows(page: str, text: str, tmp_path: Path) -> None:
    assert wrong_steps(page, text, tmp_path) == []
