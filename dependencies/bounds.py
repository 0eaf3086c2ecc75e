"""Tells whether each of our requirements has its lowest version here: `python -m dependencies.bounds`.

Otherwise the suite that runs here says nothing about the version that `pyproject.toml` allows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from dependencies.installed import OURS, requirements


def lowest(requirement: Requirement) -> Version | None:
    """Return the version after `>=`, `None` for a requirement without."""
    return next((Version(each.version) for each in requirement.specifier if each.operator == ">="), None)


def untested(wanted: Iterable[Requirement], installed: Mapping[NormalizedName, Version]) -> list[str]:
    """Return a sentence for each requirement that is installed in another version than its lower bound, sorted."""
    found = []
    for requirement in wanted:
        bound, version = lowest(requirement), installed.get(canonicalize_name(requirement.name))
        if version is not None and requirement.name != OURS and bound != version:
            found.append(f"{requirement.name}: pyproject.toml allows {bound or 'any version'}, {version} is installed")
    return sorted(set(found))


if __name__ == "__main__":
    here = {canonicalize_name(each.name): Version(each.version) for each in distributions()}
    told = untested(requirements(distribution(OURS)), here)
    print(*told, sep="\n")
    sys.exit(bool(told))
