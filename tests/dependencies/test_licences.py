"""Whoever installs agentcache is given nothing under a licence that was not looked at."""

from __future__ import annotations

from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from dependencies.installed import OURS, extras_of_users, needed
from dependencies.licences import ONLY_WITH_AN_EXTRA, is_permissive, licence_of


@pytest.mark.pinned
def test_what_everybody_gets_is_under_permissive_licences():
    licences = {name: licence_of(each.distribution) for name, each in needed(OURS).items()}
    assert {name: licence for name, licence in licences.items() if not licence or not is_permissive(licence)} == {}


@pytest.mark.pinned
def test_what_extras_bring_is_under_them_too_but_for_what_is_listed():
    found = needed(OURS, extras_of_users())
    licences = {name: licence_of(each.distribution) for name, each in found.items()}
    others = {name: licence for name, licence in licences.items() if not licence or not is_permissive(licence)}
    assert others == {name: licence for name, licence in ONLY_WITH_AN_EXTRA.items() if name in found}


def distribution_with(directory: Path, *lines: str) -> Distribution:
    (directory / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", "Name: thing", "Version: 1", *lines]))
    return PathDistribution(directory)


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: mit or apache-2.0", "License: GPL"], "MIT OR Apache-2.0"),
        (["License: MIT License"], "MIT"),
        (["License: a text of its own", "Classifier: License :: OSI Approved :: ISC License (ISCL)"], "ISC"),
        (["Classifier: License :: OSI Approved :: BSD License"], None),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: Apache Software License",
            ],
            None,
        ),
        ([], None),
    ],
)
def test_a_licence_is_read_where_the_metadata_leaves_no_doubt(tmp_path: Path, lines: list[str], licence: str | None):
    assert licence_of(distribution_with(tmp_path, *lines)) == licence


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND PSF-2.0", True),
    ],
)
def test_one_permissive_alternative_is_enough(expression: str, permissive: bool):
    assert is_permissive(expression) is permissive


def test_an_expression_in_brackets_is_not_guessed_at():
    with pytest.raises(ValueError, match="has brackets"):
        is_permissive("MIT AND (ISC OR Apache-2.0)")
