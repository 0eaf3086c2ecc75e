"""Findings summed up by code: which mistake there is most of, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from agentcache.lint.finding import Finding
from agentcache.lint.outputs.result import LintResult
from agentcache.prompt.canonical import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRow:
    """One code. files: how many have it. fixable: findings with a safe fix. Losses are `None` where none is known."""

    code: str
    name: str
    severity: str
    count: int
    files: int
    fixable: int
    lost_tokens_per_1000_calls: int | None
    lost_usd_per_1000_calls: Decimal | None

    def to_json(self) -> JsonObject:
        """Return the row; dollars as text."""
        usd = self.lost_usd_per_1000_calls
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "count": self.count,
            "files": self.files,
            "fixable": self.fixable,
            "lost_tokens_per_1000_calls": self.lost_tokens_per_1000_calls,
            "lost_usd_per_1000_calls": None if usd is None else f"{usd:f}",
        }


def count_rows(result: LintResult) -> list[CountRow]:
    """Return a row for each code that was found, the most frequent first."""
    by_code: dict[str, list[Finding]] = {}
    for item in result.findings:
        by_code.setdefault(item.code, []).append(item)
    return [_row(code, found) for code, found in sorted(by_code.items(), key=lambda item: (-len(item[1]), item[0]))]


def statistics_text(result: LintResult) -> str:
    """Return the rows as a table for people; empty when nothing was found."""
    heads = ("count", "code", "name", "files", "fixable", "tokens/1,000 calls", "$/1,000 calls")
    rows = [_cells(row) for row in count_rows(result)]
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    left = {1, 2}
    lines = [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cells(row: CountRow) -> tuple[str, ...]:
    tokens, usd = row.lost_tokens_per_1000_calls, row.lost_usd_per_1000_calls
    return (
        f"{row.count:,}",
        row.code,
        row.name,
        f"{row.files:,}",
        f"{row.fixable:,}",
        "" if tokens is None else f"{tokens:,}",
        "" if usd is None else f"{usd:,.2f}",
    )


def _row(code: str, found: list[Finding]) -> CountRow:
    losses = [item.loss for item in found if item.loss is not None]
    priced = [loss.usd for loss in losses if loss.usd is not None]
    return CountRow(
        code=code,
        name=found[0].name,
        severity=found[0].severity,
        count=len(found),
        files=len({item.place.path for item in found}),
        fixable=sum(item.edits is not None and item.edits.safe for item in found),
        lost_tokens_per_1000_calls=sum(loss.tokens for loss in losses) if losses else None,
        lost_usd_per_1000_calls=sum(priced, Decimal(0)) if priced else None,
    )
