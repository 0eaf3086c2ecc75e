"""The README is true: its programs run, and its commands print what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.making.demo_table import with_table
from tests.docs.pages import ROOT, wrong_steps

README = "README.md"


def text() -> str:
    return (ROOT / README).read_text(encoding="utf-8")


def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    assert wrong_steps(README, text(), tmp_path) == []


def test_it_is_read_in_three_minutes() -> None:
    lines = text().splitlines()
    assert len(lines) <= 160


def test_its_comparison_is_the_one_that_was_measured() -> None:
    """Each row of numbers is a row of the benchmark's first table, in the same order of frameworks."""
    measured = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").split("| all, one setting |")[0]
    published = [re.findall(r"\d\.\d\d", row) for row in re.findall(r"^\| .* 1\.00 \|.*$", text(), re.MULTILINE)]
    rows = [[*re.findall(r" (\d\.\d\d)(?= |$)", row)] for row in re.findall(r"^\| .*\(.*$", measured, re.MULTILINE)]

    assert len(published) == 5
    assert [row for row in published if ["1.00", *row[1:]] not in [["1.00", *found[1:]] for found in rows]] == []


def test_the_demos_table_and_its_day_are_put_into_the_readme() -> None:
    head = "agent                           un-\nmodel                 calls\n"

    changed = with_table(text(), f"# Review\n\n{head}\ntotal                     9  \n1 token\n", "2027-01-02")
    assert "(on 2027-01-02; it" in changed
    assert f"\n```\n{head}\ntotal                     9\n1 token\n```\n" in changed
    assert len(changed.splitlines()) < len(text().splitlines())


def test_without_a_table_nothing_is_put_there() -> None:
    with pytest.raises(ValueError, match="no table in the demo"):
        with_table(text(), "it failed", "2027-01-02")
