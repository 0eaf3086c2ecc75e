"""A view of runs under way, drawn for a terminal. Pure: names are made printable, and nothing is looked up."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from agentcache.accounting.live import LiveRow, LiveSums, LiveView
from agentcache.report.tables import shortened
from agentcache.visible import visible

_SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))
_HEADINGS = (
    "\nfor",
    "\ncalls",
    "calls\n/min",
    "un-\ncached",
    "\nwrite",
    "\nread",
    "\noutput",
    "read\nshare",
    "\ncost",
    "cost\n/min",
    "last\ncall",
    "held\nback",
)


def to_live_table(view: LiveView) -> Table:
    """Return the view as a table: a line per run or group of runs, what is nested in it beneath, and the total.

    Dollars that lack calls of unknown price are shown as `≥`; a line of runs that have all ended is dim.
    """
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("\nrun", footer="total" if view.rows else "no run is under way", overflow="fold")
    footers = ["", *_cells(view.total, view.at)]
    for heading, footer in zip(_HEADINGS, footers, strict=True):
        table.add_column(heading, footer=footer, justify="right", no_wrap=True)
    for row in view.rows:
        table.add_row(
            _name(row),
            _span(view.at - row.started_at),
            *_cells(row.sums, view.at),
            style="" if row.under_way else "dim",
        )
    return table


def _name(row: LiveRow) -> Text:
    if row.runs > 1:
        count = f" ×{row.runs}" + (f" ({row.under_way} under way)" if row.under_way else "")
    else:
        count = "" if row.under_way else " (ended)"
    return Text(f"{'  ' * row.depth}{visible(row.name)}{count}")


def _cells(sums: LiveSums, now: float) -> list[str]:
    usage = sums.usage
    mark = "≥" if sums.unpriced_calls else ""
    return [
        f"{sums.calls:,}" + (f" ({sums.errors} failed)" if sums.errors else ""),
        f"{sums.minute_calls:,}",
        shortened(usage.uncached_input_tokens),
        shortened(usage.cache_write_tokens),
        shortened(usage.cache_read_tokens),
        shortened(usage.output_tokens),
        "-" if usage.read_share is None else f"{usage.read_share:.0%}",
        f"{mark}${sums.priced_usd:,.4f}",
        f"${sums.minute_usd:,.4f}",
        "-" if sums.last_call_at is None else _span(now - sums.last_call_at),
        f"{sums.held_s:,.1f} s" if sums.held_s else "-",
    ]


def _span(seconds: float) -> str:
    unit = next(((length, name) for length, name in _SPANS if seconds >= length), None)
    return f"{max(seconds, 0.0):.0f}s" if unit is None else f"{seconds / unit[0]:.0f}{unit[1]}"
