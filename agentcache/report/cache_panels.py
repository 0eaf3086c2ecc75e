"""The panels on what the cache did: how each layer of the prompts was read, and why calls read less than they could.

Both rest on the runs of a prompt that the ledger keeps with a call; calls without them stand under `unattributed` in
the first and are left out of the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from agentcache.accounting.layers import LAYERS, LayerRow, LayerSummary
from agentcache.accounting.misses import Cause, Miss
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.usage import Usage
from agentcache.prompt.canonical import JsonObject
from agentcache.report.drawing import Bars, Piece
from agentcache.report.panels import Column, DataTable, Panel, dollars, name, percent, summary_table

_CAUSES: dict[Cause, str] = {
    Cause.EXPIRED: "expired",
    Cause.CONCURRENT: "not yet readable",
    Cause.MOVED: "the prompt changed",
    Cause.NEVER_WRITTEN: "never written",
    Cause.BELOW_MINIMUM: "too short to cache",
    Cause.UNEXPLAINED: "unexplained",
}


def layer_panel(layers: LayerSummary) -> Panel:
    """Return how the tokens of each layer were billed, summed up over the agents in the chart."""
    rows = {layer: sum((row for row in layers.rows if row.layer == layer), LayerRow()) for layer in LAYERS}
    shown = {layer: row.usage for layer, row in rows.items() if row.calls}
    columns = (
        Column(heading="Agent", field="agent", shown=name),
        Column(heading="Layer", field="layer", shown=name),
        Column(heading="Calls", field="calls"),
        Column(heading="Uncached input", field="uncached_input_tokens"),
        Column(heading="Written, 5m", field="cache_write_5m_tokens"),
        Column(heading="Written, 1h", field="cache_write_1h_tokens"),
        Column(heading="Read", field="cache_read_tokens"),
        Column(heading="Read share", field="read_share", shown=percent),
        Column(heading="Written again", field="rewritten_tokens"),
        Column(heading="Cost", field="cost_usd", shown=dollars),
        Column(heading="Cost per day", field="cost_per_day_usd", shown=dollars),
        Column(heading="Written again, cost per day", field="rewritten_per_day_usd", shown=dollars),
    )
    return Panel(
        key="layers",
        heading="Layers of the prompts",
        caption="How the tokens of each layer were billed. A layer that should stay the same is read, not written. "
        "Where two layers meet is as good as the estimate of their lengths; the sums are exact. "
        "Costs per day are the mean over the days (UTC) on which calls were sent.",
        table=summary_table(columns, layers.to_json(), layers.unattributed.calls > 0),
        bars=Bars(
            label="Stacked bars: the tokens of each layer of the prompts, divided by how they were billed. "
            "The table below has the numbers.",
            bars=tuple(layer.replace("_", "-") for layer in shown),
            series=("uncached input", "written", "read"),
            pieces=[piece for layer, usage in shown.items() for piece in _pieces(layer.replace("_", "-"), usage)],
            axis="tokens",
        ),
    )


def miss_panel(misses: Iterable[Miss]) -> Panel:
    """Return what calls lost by cause."""
    found = tuple(misses)
    by_cause = {cause: [miss for miss in found if miss.cause is cause] for cause in Cause}
    rows = [_row(_CAUSES[cause], each) for cause, each in by_cause.items() if each]
    columns = (
        Column(heading="Cause", field="cause", shown=name),
        Column(heading="Calls", field="calls"),
        Column(heading="Tokens lost", field="lost_tokens"),
        Column(heading="Dollars lost", field="lost_usd", shown=dollars),
    )
    return Panel(
        key="misses",
        heading="Misses and their causes",
        caption="What calls could have read and did not, and what that cost more than reading."
        if found
        else "No call is known to have read less than it could.",
        table=DataTable(columns=columns, rows=rows, total=_row("Total", found)),
        bars=Bars(
            label="Bars: tokens lost to misses, by cause. The table below has the numbers.",
            bars=tuple(_CAUSES[cause] for cause, each in by_cause.items() if each),
            series=("tokens lost",),
            pieces=[
                Piece(bar=_CAUSES[cause], series="tokens lost", amount=float(sum(miss.lost_tokens for miss in each)))
                for cause, each in by_cause.items()
                if each
            ],
            axis="tokens lost",
        ),
    )


def _pieces(layer: str, usage: Usage) -> Sequence[Piece]:
    return (
        Piece(bar=layer, series="uncached input", amount=float(usage.uncached_input_tokens)),
        Piece(bar=layer, series="written", amount=float(usage.cache_write_tokens)),
        Piece(bar=layer, series="read", amount=float(usage.cache_read_tokens)),
    )


def _row(cause: str, misses: Sequence[Miss]) -> JsonObject:
    """Return a row of the table; dollars are `None` when the price of one miss is not known."""
    known = [miss.lost_usd for miss in misses if miss.lost_usd is not None]
    return {
        "cause": cause,
        "calls": len(misses),
        "lost_tokens": sum(miss.lost_tokens for miss in misses),
        "lost_usd": plain_usd(sum(known, Decimal(0))) if len(known) == len(misses) else None,
    }
