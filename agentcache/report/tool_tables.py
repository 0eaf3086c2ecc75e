"""A summary of tool calls drawn for a terminal, and the sentences that go with its numbers.

As in `tables`, what does not fit a width is told more briefly: first the columns stand closer, then tool and agent
share one, then bytes and mean are left out. The JSON has the exact numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

from agentcache.accounting.tool_summary import FAILED, TIERS, PartialSum, ToolRow, ToolSummary
from agentcache.report.tables import shortened, width_of
from agentcache.visible import visible

_Number: TypeAlias = tuple[str, Callable[[ToolRow], str]]

_NUMBERS: Sequence[_Number] = (
    ("\ncalls", lambda row: f"{row.calls:,}"),
    ("exe-\ncuted", lambda row: f"{row.executed:,}"),
    ("from\nmemo", lambda row: f"{row.kept.total():,}"),
    ("\nshared", lambda row: f"{row.shared:,}"),
    ("\nfailed", lambda row: f"{row.failed.total():,}"),
    ("\nbytes", lambda row: _sum(row.result_bytes, shortened)),
    ("same\ntokens", lambda row: _sum(row.identical_tokens, shortened)),
    ("time\nsaved", lambda row: _sum(row.saved_s, _duration)),
    ("\nmean", lambda row: "-" if row.durations is None else _duration(row.durations.mean_s)),
    ("\nmedian", lambda row: "-" if row.durations is None else _duration(row.durations.median_s)),
    ("\np95", lambda row: "-" if row.durations is None else _duration(row.durations.p95_s)),
)

_LEFT_OUT = frozenset({"\nbytes", "\nmean"})
"""Headings of what is left out where there is little room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """One way of drawing: how far apart columns stand, whether names share one, whether some are left out."""

    gap: int = 0
    stacked: bool = False
    brief: bool = False


def to_tool_table(summary: ToolSummary, *, width: int = 100) -> Table:
    """Return the summary as a table of at most `width` columns, down to 80: a row for each tool and agent.

    A sum that lacks calls of which too little is known is shown as `≥`; the caption says why.
    """
    layouts = (_Layout(gap=1), _Layout(), _Layout(stacked=True), _Layout(stacked=True, brief=True))
    drawn = (_drawn(summary, layout) for layout in layouts)
    return next((table for table in drawn if width_of(table) <= width), _drawn(summary, layouts[-1]))


def tool_notes(summary: ToolSummary) -> tuple[str, ...]:
    """Return what a reader must know beside the numbers, a sentence each; empty when there is nothing to add."""
    total = summary.total
    told = []
    if total.kept:
        tiers = [f"{total.kept[tier]:,} {tier}" for tier in (*TIERS, "unknown") if total.kept[tier]]
        told.append(f"from memo: {', '.join(tiers)}.")
    if total.failed:
        outcomes = [f"{total.failed[outcome]:,} {outcome}" for outcome in FAILED if total.failed[outcome]]
        told.append(f"failed: {', '.join(outcomes)}.")
    if total.identical_tokens.known:
        told.append("same tokens: of results that are to the byte what was sent before, thanks to the memo (estimate).")
    if total.repeated:
        told.append(f"{total.repeated:,} executions returned to the byte what the tool had returned before.")
    if total.unknown_calls:
        told.append(f"{total.unknown_calls:,} calls are from before all this was kept; sums with ≥ leave them out.")
    return tuple(told)


def _drawn(summary: ToolSummary, layout: _Layout) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False, padding=(0, layout.gap, 0, 0), pad_edge=False)
    headings = ("tool\nagent",) if layout.stacked else ("tool", "agent")
    numbers = [number for number in _NUMBERS if not layout.brief or number[0] not in _LEFT_OUT]
    for heading, footer in zip(headings, ("total", ""), strict=False):
        table.add_column(heading, footer=footer, overflow="fold")
    for heading, cell in numbers:
        table.add_column(heading, footer=cell(summary.total), justify="right", no_wrap=True)
    for row in summary.rows:
        table.add_row(*_names(row, layout), *(cell(row) for _, cell in numbers))
    if summary.unattributed.calls:
        blank = [""] * (len(headings) - 1)
        table.add_row("(unattributed)", *blank, *(cell(summary.unattributed) for _, cell in numbers), style="dim")
    if told := tool_notes(summary):
        table.caption, table.caption_justify = Text("\n".join(map(visible, told))), "left"
    return table


def _names(row: ToolRow, layout: _Layout) -> Sequence[Text]:
    tool, agent = Text(visible(row.tool or "")), Text(visible(row.agent or ""))
    return (Text("\n").join([tool, Text(agent.plain, style="dim")]),) if layout.stacked else (tool, agent)


def _sum(amount: PartialSum, shown: Callable[[float], str]) -> str:
    return f"≥{shown(amount.known)}" if amount.lacking else shown(amount.known)


def _duration(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms" if seconds else "0s"
    return f"{seconds:.1f}s" if seconds < 99.95 else f"{seconds:,.0f}s"
