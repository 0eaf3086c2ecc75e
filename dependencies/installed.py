"""Which distributions a distribution needs, as this environment has them installed."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

OURS = canonicalize_name("agentcache-claude")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""The versions that the classifiers name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution, and the names of those that it needs for the extras it was asked for with."""

    distribution: Distribution
    needs: set[NormalizedName] = field(default_factory=set)

    @property
    def name(self) -> NormalizedName:
        """The name as requirements are compared by: lower case, words parted by `-`."""
        return canonicalize_name(self.distribution.name)


def extras_of_users() -> tuple[str, ...]:
    """Return our extras, sorted, without the one that is for work on this repository."""
    return tuple(sorted({*distribution(OURS).metadata.get_all("Provides-Extra", [])} - {"dev"}))


def needed(name: str, extras: Collection[str] = ()) -> dict[NormalizedName, Installed]:
    """Return the distribution with these extras and all that it needs, direct or not, by normalised name.

    A requirement counts where its marker holds on this interpreter and machine. Raises `PackageNotFoundError` for one
    that is not installed.
    """
    found: dict[NormalizedName, Installed] = {}
    asked: set[tuple[NormalizedName, str]] = set()
    waiting = deque((canonicalize_name(name), extra) for extra in ("", *extras))
    while waiting:
        here, extra = waiting.popleft()
        if (here, extra) in asked:
            continue
        asked.add((here, extra))
        known = found.setdefault(here, Installed(distribution=distribution(here)))
        for requirement in requirements(known.distribution):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needs = canonicalize_name(requirement.name)
                known.needs.add(needs)
                waiting.extend((needs, each) for each in ("", *requirement.extras))
    return found


def requirements(of: Distribution) -> Iterator[Requirement]:
    """Return what the metadata of a distribution asks for, extras and foreign platforms included."""
    yield from map(Requirement, of.requires or ())


def left_out(extras: Collection[str]) -> list[str]:
    """Return our own requirements for these extras that another Python would have and this one has not, sorted."""
    return sorted(
        str(requirement)
        for requirement in requirements(distribution(OURS))
        for marker in [requirement.marker]
        if marker is not None
        for extra in extras
        if not marker.evaluate({"extra": extra})
        and any(marker.evaluate({"extra": extra, "python_version": version}) for version in PYTHONS)
    )
