"""What the linter says: where a mistake stands, how sure that is, what it costs, and what mends it.

A finding is a value and never an exception. Knows no rules and no output formats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from agentcache.accounting.mistakes import Severity
from agentcache.prompt.canonical import JsonObject


class Confidence(StrEnum):
    """How sure a finding is."""

    CERTAIN = "certain"
    """The syntax, the types or two renders prove it."""
    LIKELY = "likely"
    """The names say it, and their meaning is well known."""
    POSSIBLE = "possible"
    """It looks so; whoever knows the values decides."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A place in a file as an editor counts: lines and columns from 1. No line means the whole file."""

    path: str
    line: int | None = None
    column: int | None = None
    end_column: int | None = None
    """The first column behind the text that is meant, on the same line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Text in place of characters `start` to `end` (offsets, end excluded) of the text of one file as it was read."""

    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Edits that together mend a finding. safe: the rendered prompt keeps its words, order apart."""

    edits: tuple[Edit, ...]
    safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a mistake costs in 1,000 calls with one breakpoint behind each layer.

    tokens: input tokens that are not read and would be without the mistake. usd: at list price, `None` without one.
    """

    tokens: int
    usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake at one place.

    agent, layer: whose and which, `None` where that is not known. also: other places that belong to it (where a value
    comes from, the other copy), any of which is where a person might mend it.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    place: Place
    message: str
    fix: str
    """What to do, in words."""
    agent: str | None = None
    layer: str | None = None
    also: tuple[Place, ...] = ()
    loss: Loss | None = None
    edits: Fix | None = field(default=None, compare=False)

    def to_json(self) -> JsonObject:
        """Return the finding JSON of docs/formats.md, and what else is known."""
        loss = self.loss
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "confidence": self.confidence.value,
            "path": self.place.path,
            "line": self.place.line,
            "column": self.place.column,
            "end_column": self.place.end_column,
            "agent": self.agent,
            "layer": self.layer,
            "message": self.message,
            "fix": self.fix,
            "fixable": None if self.edits is None else ("safe" if self.edits.safe else "unsafe"),
            "also": [{"path": place.path, "line": place.line} for place in self.also],
            "lost_tokens_per_1000_calls": None if loss is None else loss.tokens,
            "lost_usd_per_1000_calls": None if loss is None or loss.usd is None else f"{loss.usd:f}",
        }
