"""Every recipe of the cookbook, and every section of the concepts, does what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import recipes, wrong_steps

COOKBOOK = recipes("docs/cookbook.md")
OWN_BOOKS = pytest.mark.other_books("a client of its own is on the emulator")


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(name, marks=OWN_BOOKS if "any client" in name else ()) for name in COOKBOOK],
)
def test_a_recipe_prints_what_the_cookbook_shows(recipe: str, tmp_path: Path) -> None:
    assert wrong_steps("docs/cookbook.md", COOKBOOK[recipe], tmp_path) == []
