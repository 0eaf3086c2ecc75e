"""A summary by layer drawn for a terminal, and the sentences that go with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

from agentcache.accounting.layers import LayerRow, LayerSummary
from agentcache.report.tables import shortened, width_of
from agentcache.visible import visible

_Number: TypeAlias = tuple[str, Callable[[LayerRow], str]]


def to_layer_table(summary: LayerSummary, *, width: int = 100) -> Table:
    """Return the summary as a table of at most `width` columns, down to 80: a row for each agent and layer.

    Token counts are exact where there is room, and shortened (12.3k) where there is not.
    """
    airy, close = (_drawn(summary, tokens, gap) for tokens, gap in ((_exact, 1), (_exact, 0)))
    drawn = (airy, close, _drawn(summary, shortened, 0))
    return next((table for table in drawn if width_of(table) <= width), drawn[-1])


def layer_notes(summary: LayerSummary) -> tuple[str, ...]:
    """Return what a reader must know beside the numbers, a sentence each."""
    told = ["tokens per layer: the billed ones, split where the estimate of each layer's length puts them."]
    if summary.total.rewritten_tokens:
        told.append("rewritten: written although the same prefix had been written and should have lived.")
    if summary.days > 1:
        told.append(
            f"rewrites per day: what they cost, the mean of the {summary.days:,} days (UTC) on which calls were sent."
        )
    if summary.unattributed.calls:
        told.append(f"{summary.unattributed.calls:,} calls cannot be split: of unknown usage, of no agent, or too old.")
    if summary.total.unpriced_calls:
        told.append("dollars with ≥ leave calls out whose price or usage is not known.")
    return tuple(told)


def _drawn(summary: LayerSummary, tokens: Callable[[int], str], gap: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False, padding=(0, gap, 0, 0), pad_edge=False)
    numbers = _numbers(tokens, summary.days)
    for heading, footer in (("\nagent", "total"), ("\nlayer", "")):
        table.add_column(heading, footer=footer, overflow="fold")
    for heading, cell in numbers:
        table.add_column(heading, footer=cell(summary.total), justify="right", no_wrap=True)
    for row in summary.rows:
        table.add_row(
            Text(visible(row.agent or "")), Text(visible(row.layer or "")), *(cell(row) for _, cell in numbers)
        )
    if summary.unattributed.calls:
        table.add_row("(unattributed)", "", *(cell(summary.unattributed) for _, cell in numbers), style="dim")
    table.caption, table.caption_justify = Text("\n".join(map(visible, layer_notes(summary)))), "left"
    return table


def _numbers(tokens: Callable[[int], str], days: int) -> Sequence[_Number]:
    return (
        ("\ncalls", lambda row: f"{row.calls:,}"),
        ("\nread", lambda row: tokens(row.usage.cache_read_tokens)),
        ("write\n5m", lambda row: tokens(row.usage.cache_write_5m_tokens)),
        ("write\n1h", lambda row: tokens(row.usage.cache_write_1h_tokens)),
        ("\nuncached", lambda row: tokens(row.usage.uncached_input_tokens)),
        ("read\nshare", lambda row: "-" if row.usage.read_share is None else f"{row.usage.read_share:.1%}"),
        ("\ncost", lambda row: _dollars(row, row.priced_usd)),
        ("re-\nwritten", lambda row: tokens(row.rewritten_tokens)),
        *_rewriting(days),
    )


def _rewriting(days: int) -> Sequence[_Number]:
    """Return what the rewritten tokens cost, of a day where there are several."""
    if days > 1:
        return (("rewrites\nper day", lambda row: _dollars(row, row.priced_rewritten_usd / days)),)
    return (("rewrites\ncost", lambda row: _dollars(row, row.priced_rewritten_usd)),)


def _dollars(row: LayerRow, amount: Decimal) -> str:
    if not row.unpriced_calls and 0 < amount < Decimal("0.00005"):
        return "<$0.0001"
    return f"{'≥' if row.unpriced_calls else ''}${amount:.4f}"


def _exact(count: int) -> str:
    return f"{count:,}"
