"""What a lint run came to: the value that every output shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.lint.finding import Finding, Loss


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


def loss_in_words(loss: Loss) -> str:
    """Return `about 12,300 tokens ($0.04) in 1,000 calls`; dollars only where there is a price."""
    usd = "" if loss.usd is None else f" (${loss.usd:,.2f})"
    return f"about {loss.tokens:,} tokens{usd} in 1,000 calls"


def whole_message(finding: Finding) -> str:
    """Return the message with what the mistake costs and what to do, for outputs that have one field for it."""
    loss = "" if finding.loss is None else f"; costs {loss_in_words(finding.loss)}"
    return f"{finding.message}{loss}. Fix: {finding.fix}"


def counted(number: int, word: str) -> str:
    """Return `1 finding`, `1,200 findings`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
