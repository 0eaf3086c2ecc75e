"""What a lint run came to: the value that every output shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.lint.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class LintResult:
    """findings: in the order in which they are shown. texts: path -> text of every file that was read.

    agents: how many prompts were looked at. source: what was looked at instead, a request log. ignored: findings that a
    comment ignores. known: findings of the baseline.
    """

    findings: tuple[Finding, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    agents: int = 0
    source: str | None = None
    ignored: int = 0
    known: int = 0


def whole_message(finding: Finding) -> str:
    """Return the message, which says what the mistake costs, and what to do, for outputs that have one field for it."""
    return f"{finding.message}. Fix: {finding.fix}"


def counted(number: int, word: str) -> str:
    """Return `1 finding`, `1,200 findings`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
