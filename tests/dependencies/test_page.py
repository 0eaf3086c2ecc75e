"""docs/dependencies.md says of each dependency what `pyproject.toml` and its own metadata say."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from dependencies.bounds import lowest
from dependencies.installed import OURS, extras_of_users, requirements
from dependencies.licences import licence_of

PAGE = Path(__file__).parents[2] / "docs" / "dependencies.md"
ROWS = [
    tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| `[a-z0-9-]+` \|", line)
]


def declared() -> dict[tuple[str, str], str]:
    """Name and extra (empty for what everybody gets) of each of our requirements, with its lower bound."""
    return {
        (canonicalize_name(each.name), extra): str(lowest(each))
        for each in requirements(distribution(OURS))
        for extra in ["", *extras_of_users()]
        if (not extra if each.marker is None else f'extra == "{extra}"' in str(each.marker))
    }


def test_each_requirement_has_a_row_with_its_lower_bound():
    assert {(name, extra): bound for name, extra, _, bound, _ in ROWS} == declared()


def test_the_newest_that_was_tried_is_no_older_than_the_lowest():
    assert [name for name, _, _, bound, newest in ROWS if Version(newest) < Version(bound)] == []


@pytest.mark.pinned
def test_each_licence_is_what_the_package_says():
    told = {name: licence for name, _, licence, _, _ in ROWS}
    assert {name: licence for name, licence in told.items() if licence != _licence(name, licence)} == {}


def _licence(name: str, otherwise: str) -> str | None:
    try:
        return licence_of(distribution(name))
    except PackageNotFoundError:
        return otherwise  # it is not for this Python
