"""What a rule is: its code and name, its page of documentation, and the check behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Finding

Check: TypeAlias = Callable[[Examination], Iterable[Finding]]
"""Finds what a rule is about in one agent's prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Name, severity and fix come from the catalogue of mistakes, which `explain` shares."""

    code: str
    what: str
    """What it finds, in a sentence or two."""
    why: str
    """What that costs, and by which fact of the API."""
    bad: str
    good: str
    references: tuple[str, ...]
    check: Check | None
    """`None`: shows in traffic only (`lint --log`, `explain`)."""
