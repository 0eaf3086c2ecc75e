"""Panels on layers and misses: which layer was read, which is written again and again, and why calls missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.accounting.layers import LayerSummary
from agentcache.accounting.misses import Cause, Miss
from agentcache.accounting.pricing import plain_usd
from agentcache.prompt.canonical import JsonObject
from agentcache.report.drawing import Bars, Piece
from agentcache.report.panels import Column, DataTable, Panel, dollars, name, percent

_MOST_BARS = 15

_CAUSES = {
    Cause.EXPIRED: "expired",
    Cause.CONCURRENT: "sent before the writer began to answer",
    Cause.MOVED: "the prompt changed",
    Cause.NEVER_WRITTEN: "nobody had written it",
    Cause.BELOW_MINIMUM: "shorter than the model caches",
    Cause.UNEXPLAINED: "unexplained",
}


def miss_panels(layers: LayerSummary, missed: Sequence[Miss]) -> tuple[Panel, ...]:
    """Return the panels, those alone that have something to show."""
    panels = []
    if layers.rows:
        panels.append(_layers(layers))
    if missed:
        panels.append(_causes(missed))
    return tuple(panels)


def _layers(layers: LayerSummary) -> Panel:
    told = layers.to_json()
    rows, total = told["rows"], told["total"]
    largest = sorted(layers.rows, key=lambda row: -row.usage.input_tokens)[:_MOST_BARS]
    bars = [(f"{row.agent}: {row.layer}", row) for row in largest]
    return Panel(
        key="layers",
        heading="Read share by layer",
        caption="What each layer of an agent's prompts was billed as. Rewritten tokens were written although the same "
        "prefix had been written before and should have lived.",
        table=DataTable(
            columns=(
                Column(heading="Agent", field="agent", shown=name),
                Column(heading="Layer", field="layer", shown=name),
                Column(heading="Uncached", field="uncached_input_tokens"),
                Column(heading="Written 5m", field="cache_write_5m_tokens"),
                Column(heading="Written 1h", field="cache_write_1h_tokens"),
                Column(heading="Read", field="cache_read_tokens"),
                Column(heading="Read share", field="read_share", shown=percent),
                Column(heading="Rewritten", field="rewritten_tokens"),
                Column(heading="Cost", field="cost_usd", shown=dollars),
            ),
            rows=[row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else [],
            total={**total, "agent": "Total"} if isinstance(total, dict) else None,
        ),
        bars=Bars(
            label="Bars: read tokens as a share of each layer, from nothing to all. The table below has the numbers.",
            bars=tuple(bar for bar, _ in bars),
            series=("read share",),
            pieces=[Piece(bar=bar, series="read share", amount=row.usage.read_share or 0.0) for bar, row in bars],
            axis="share of the layer's tokens",
            form=".0%",
            most=1.0,
        ),
    )


@dataclass(slots=True)
class _Lost:
    calls: int = 0
    tokens: int = 0
    usd: Decimal | None = field(default_factory=Decimal)

    def add(self, miss: Miss) -> None:
        self.calls += 1
        self.tokens += miss.lost_tokens
        self.usd = None if self.usd is None or miss.lost_usd is None else self.usd + miss.lost_usd

    def to_json(self, cause: str) -> JsonObject:
        usd = None if self.usd is None else plain_usd(self.usd)
        return {"cause": cause, "calls": self.calls, "lost_tokens": self.tokens, "lost_usd": usd}


def _causes(missed: Sequence[Miss]) -> Panel:
    lost: dict[Cause, _Lost] = defaultdict(_Lost)
    total = _Lost()
    for miss in missed:
        lost[miss.cause].add(miss)
        total.add(miss)
    causes = sorted(lost, key=lambda cause: -lost[cause].tokens)
    return Panel(
        key="misses",
        heading="Why calls missed",
        caption="Calls that read less than earlier ones had cached for them, by cause. `agentcache explain --run ID` "
        "names each call, the place in its prompt and what to do.",
        table=DataTable(
            columns=(
                Column(heading="Cause", field="cause", shown=name),
                Column(heading="Calls", field="calls"),
                Column(heading="Lost tokens", field="lost_tokens"),
                Column(heading="Lost", field="lost_usd", shown=dollars),
            ),
            rows=[lost[cause].to_json(_CAUSES[cause]) for cause in causes],
            total=total.to_json("Total"),
        ),
        bars=Bars(
            label="Bars: tokens lost by cause. The table below has the numbers.",
            bars=tuple(_CAUSES[cause] for cause in causes),
            series=("lost tokens",),
            pieces=[
                Piece(bar=_CAUSES[cause], series="lost tokens", amount=float(lost[cause].tokens)) for cause in causes
            ],
            axis="tokens",
        ),
    )
