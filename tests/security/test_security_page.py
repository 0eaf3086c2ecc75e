"""The page on security names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_it_names_exists():
    missing = [f"{file}::{test}" for file, test in NAMED if not _has(TESTS / file, test)]
    assert missing == []


def _has(file: Path, test: str) -> bool:
    return file.is_file() and re.search(rf"^(async )?def {test}\(", file.read_text(encoding="utf-8"), re.M) is not None


def test_every_promise_names_one():
    promises = [row for row in PAGE.splitlines() if row.startswith("| ") and not row.startswith(("| promise", "|---"))]
    assert len(promises) > 30
    assert [row for row in promises if "::" not in row] == []
    assert PAGE.count("::") == len(NAMED) + 1  # and GitHub's `::error`


def test_every_kind_of_attack_says_what_is_not_promised():
    attacks = [part for part in PAGE.split("\n## ")[1:] if "| promise" in part]
    assert len(attacks) == 8
    assert [part.splitlines()[0] for part in attacks if "Not promised: " not in part] == []
