"""The table of fixes and its page of documentation."""

from __future__ import annotations

import re
from pathlib import Path

from agentcache.accounting.mistakes import MISTAKES
from agentcache.lint.fixes.table import FIXES, TEAM_FIXES

PAGE = Path(__file__).parents[3] / "docs" / "lint-fixes.md"


def codes_in(text: str) -> set[str]:
    """Return the codes that a text names, those in between too."""
    ranges = [range(int(first), int(last) + 1) for first, last in re.findall(r"PC(\d{3})–PC(\d{3})", text)]
    return set(re.findall(r"PC\d{3}", text)) | {f"PC{number:03}" for numbers in ranges for number in numbers}


def test_every_code_with_a_fix_is_a_mistake_of_the_catalogue() -> None:
    assert {*FIXES, *TEAM_FIXES} <= set(MISTAKES)


def test_the_page_lists_exactly_the_codes_that_have_a_fix() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").split("\n") if line.startswith("| PC")]

    assert codes_in("".join(row.split("|")[1] for row in rows)) == {*FIXES, *TEAM_FIXES}
