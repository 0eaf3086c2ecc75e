"""Findings made by hand, for tests of what becomes of them."""

from __future__ import annotations

from agentcache.lint.codes import CODES
from agentcache.lint.finding import Confidence, Finding, Fix, Loss, Place


def finding(
    code: str = "PC001",
    *,
    path: str = "p/static.j2",
    line: int | None = 1,
    column: int | None = None,
    end_column: int | None = None,
    message: str = "the time of day stands in the prefix",
    also: tuple[Place, ...] = (),
    loss: Loss | None = None,
    edits: Fix | None = None,
) -> Finding:
    """A finding as a rule makes it."""
    mistake = CODES[code]
    return Finding(
        code=code,
        name=mistake.name,
        severity=mistake.severity,
        confidence=Confidence.CERTAIN,
        place=Place(path=path, line=line, column=column, end_column=end_column),
        message=message,
        fix=mistake.fix,
        also=also,
        loss=loss,
        edits=edits,
    )
