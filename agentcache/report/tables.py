"""A summary drawn for a terminal.

Decides how much is shown in a given width. Exact numbers, each in a column of its own, come first; where they do not
fit, token counts are shortened (12.3k), then agent and model share a column, then the two lifetimes of writes share
one and the cost without caching goes. The JSON has the exact numbers. Rich is imported here only, and this module
only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from agentcache.accounting.summary import Summary, SummaryRow
from agentcache.report.formats import notes
from agentcache.visible import visible

_Number: TypeAlias = tuple[str, Callable[[SummaryRow], str]]
_UNITS = (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000))
_AMPLE = Console(width=10_000)
"""Only measures: how wide a table would be if it had all the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """One way of drawing: how token counts read, how airy, whether names share a column, which columns there are."""

    tokens: Callable[[int], str]
    airy: bool = False
    stacked: bool = False
    brief: bool = False


def to_table(summary: Summary, *, width: int = 100) -> Table:
    """Return the summary as a table of at most `width` columns, down to 80.

    It has a row each, one for what is unattributed if there is any, and the total as its footer. An amount that
    lacks unpriced calls is shown as `≥`, or as `unpriced` when no call of the row has a price; the caption says why.
    """
    layouts = (
        _Layout(tokens=_exact, airy=True),
        _Layout(tokens=_exact),
        _Layout(tokens=shortened),
        _Layout(tokens=shortened, stacked=True, airy=True),
        _Layout(tokens=shortened, stacked=True, brief=True, airy=True),
        _Layout(tokens=shortened, stacked=True, brief=True),
    )
    drawn = (_drawn(summary, layout) for layout in layouts)
    return next((table for table in drawn if width_of(table) <= width), _drawn(summary, layouts[-1]))


def _drawn(summary: Summary, layout: _Layout) -> Table:
    gap = 1 if layout.airy else 0
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False, padding=(0, gap, 0, 0), pad_edge=False)
    names = _name_headings(summary, layout)
    numbers = _number_columns(layout)
    for heading, footer in zip(names, ("total", ""), strict=False):
        table.add_column(heading, footer=footer, overflow="fold")
    for heading, cell in numbers:
        table.add_column(heading, footer=cell(summary.total), justify="right", no_wrap=True)
    for row in summary.rows:
        table.add_row(*_names(row, summary, layout), *(cell(row) for _, cell in numbers))
    if not summary.unattributed.is_empty:
        blank = [""] * (len(names) - 1)
        table.add_row("(unattributed)", *blank, *(cell(summary.unattributed) for _, cell in numbers), style="dim")
    if told := notes(summary):
        table.caption, table.caption_justify = Text("\n".join(map(visible, told))), "left"
    return table


def width_of(table: Table) -> int:
    """Return the columns that a table takes when it has all the room."""
    return Measurement.get(_AMPLE, _AMPLE.options, table).maximum


def _name_headings(summary: Summary, layout: _Layout) -> Sequence[str]:
    named = {"agent": ("agent", "model"), "model": ("model",), "run": ("name", "run"), "day": ("day",)}
    headings = named[summary.by]
    return ("\n".join(headings),) if layout.stacked else headings


def _names(row: SummaryRow, summary: Summary, layout: _Layout) -> Sequence[Text]:
    named = {
        "agent": (row.agent, row.model),
        "model": (row.model,),
        "run": (row.name, row.run),
        "day": (row.day,),
    }
    first, *rest = (Text(visible(name or "")) for name in named[summary.by])
    if not layout.stacked:
        return (first, *rest)
    return (Text("\n").join([first, *(Text(text.plain, style="dim") for text in rest)]),)


def _number_columns(layout: _Layout) -> Sequence[_Number]:
    tokens = layout.tokens
    both_writes: list[_Number] = [("\nwrite", lambda row: tokens(row.usage.cache_write_tokens))]
    writes: list[_Number] = [
        ("write\n5m", lambda row: tokens(row.usage.cache_write_5m_tokens)),
        ("write\n1h", lambda row: tokens(row.usage.cache_write_1h_tokens)),
    ]
    uncached_cost: _Number = ("without\ncaching", lambda row: _sum(row.priced_counterfactual_usd, row))
    return (
        ("\ncalls", lambda row: f"{row.calls:,}"),
        ("un-\ncached", lambda row: tokens(row.usage.uncached_input_tokens)),
        *(both_writes if layout.brief else writes),
        ("\nread", lambda row: tokens(row.usage.cache_read_tokens)),
        ("\nout" if layout.brief else "\noutput", lambda row: tokens(row.usage.output_tokens)),
        ("read\nshare", lambda row: "-" if row.usage.read_share is None else f"{row.usage.read_share:.0%}"),
        ("\ncost", lambda row: _sum(row.priced_usd, row)),
        *(() if layout.brief else (uncached_cost,)),
        ("\nsaved", lambda row: "-" if row.saved_usd is None else _dollars(row.saved_usd)),
    )


def _sum(priced: Decimal, row: SummaryRow) -> str:
    if not row.unpriced_calls:
        return "<$0.0001" if 0 < priced < Decimal("0.00005") else _dollars(priced)
    return "unpriced" if row.unpriced_calls == row.calls else f"≥{_dollars(priced)}"


def _dollars(amount: Decimal) -> str:
    places = 4 if abs(amount) < 100 else 2
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{places}f}"


def _exact(number: int) -> str:
    return f"{number:,}"


def shortened(number: float) -> str:
    """Return a count in at most five characters for everything below a million millions."""
    if number < 10_000:
        return f"{number:,.0f}"
    unit, divisor = next(step for step in _UNITS if number < 999.5 * step[1] or step is _UNITS[-1])
    scaled = number / divisor
    return f"{scaled:,.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f}{unit}"
