"""Pins and bounds: all that is installed is pinned, nothing else is, and no pin is outside of its bound."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from dependencies.bounds import lowest, untested
from dependencies.installed import OURS, extras_of_users, left_out, needed, requirements

ROOT = Path(__file__).parents[2]
PINS = {
    canonicalize_name(name): Version(version)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for name, _, version in [line.partition("==")]
}
NEEDED_BY_WHAT_IS_LEFT_OUT = {"ctok": {"regex"}}
"""What a requirement that only another Python has needs; its metadata is not here to say so."""


def everything_needed() -> set[str]:
    found = {*needed(OURS, [*extras_of_users(), "dev"])} - {OURS}
    absent = {Requirement(each).name for each in left_out([*extras_of_users(), "dev"])}
    return found | absent | {name for each in absent for name in NEEDED_BY_WHAT_IS_LEFT_OUT[each]}


@pytest.mark.pinned
def test_what_is_installed_is_pinned_and_what_is_pinned_is_needed():
    assert everything_needed() == PINS.keys()


@pytest.mark.pinned
def test_what_is_installed_is_what_is_pinned():
    here = needed(OURS, [*extras_of_users(), "dev"])
    differ = {name: each.distribution.version for name, each in here.items() if name != OURS}
    assert {name: version for name, version in differ.items() if Version(version) != PINS[name]} == {}


def test_each_pin_lies_within_its_bounds():
    ours = [each for each in requirements(distribution(OURS)) if each.name != OURS]
    assert [str(each) for each in ours if PINS[canonicalize_name(each.name)] not in each.specifier] == []


def test_each_requirement_has_a_lower_bound():
    ours = [each for each in requirements(distribution(OURS)) if each.name != OURS]
    assert [each.name for each in ours if lowest(each) is None] == []


def test_a_bound_below_what_is_installed_is_told_as_untested():
    wanted = [Requirement("rich>=13.9"), Requirement("typer>=0.29"), Requirement("absent>=1"), Requirement("click")]
    here = {canonicalize_name(name): Version("13.9.0") for name in ("rich", "typer", "click")}

    assert untested(wanted, here) == [
        "click: pyproject.toml allows any version, 13.9.0 is installed",
        "typer: pyproject.toml allows 0.29, 13.9.0 is installed",
    ]
