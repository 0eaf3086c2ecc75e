"""`agentcache report --reprice`: what today's prices make of the rows, and the rows made so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table

from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.repricing import RepricedRow, Repricing
from agentcache.cli.printing import as_json, text_of
from agentcache.visible import visible


def _signed(row: RepricedRow) -> str:
    sign = "-" if row.difference_usd < 0 else "+"
    return f"{sign}${plain_usd(abs(row.difference_usd))}"


_NUMBERS: Sequence[tuple[str, Callable[[RepricedRow], str]]] = (
    ("calls", lambda row: f"{row.calls:,}"),
    ("newly priced", lambda row: f"{row.newly_priced_calls:,}"),
    ("before", lambda row: f"${plain_usd(row.before_usd)}"),
    ("after", lambda row: f"${plain_usd(row.after_usd)}"),
    ("difference", _signed),
)


def repricing_json(repricing: Repricing, written: int | None) -> str:
    """Return the repricing as JSON with the number of rows `written`, `null` when none was to be."""
    return f"{as_json({**repricing.to_json(), 'written': written})}\n"


def repricing_text(repricing: Repricing, written: int | None) -> str:
    """Return the repricing as a table with what was done about it."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False, pad_edge=False)
    table.add_column("model", footer="total", overflow="fold")
    for heading, cell in _NUMBERS:
        table.add_column(heading, footer=cell(repricing.total), justify="right", no_wrap=True)
    for row in repricing.rows:
        table.add_row(visible(row.model or ""), *(cell(row) for _, cell in _NUMBERS))
    told = "".join(f"{visible(sentence)}\n" for sentence in _sentences(repricing, written))
    return f"{text_of(table)}{told}"


def _sentences(repricing: Repricing, written: int | None) -> Sequence[str]:
    told = []
    if repricing.unpriced_models:
        told.append(f"still without a price: {', '.join(repricing.unpriced_models)}; those calls stay as they are.")
    if written is not None:
        told.append("1 row was written." if written == 1 else f"{written:,} rows were written.")
    elif repricing.calls:
        told.append("nothing was written; --write does it.")
    return told
