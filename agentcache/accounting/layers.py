"""What each layer of the prompts cost: the billed tokens of a call split over the runs of its prompt, exactly.

The API says how many tokens it read, wrote and took in full, never which. Two things are known of which: reads are the
beginning of a prompt, then come the writes (those for an hour before those for five minutes), then the rest; and how
long each run is, as an estimate. So the estimate is stretched to what was billed and cut where the buckets meet. Every
bucket's tokens are given out to the last one, and so is every dollar; where exactly two runs meet is as good as the
estimate. A call that several models had a part in is split part by part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import accumulate
from typing import TypeAlias

from agentcache.accounting.pricing import plain_usd, priced_on, token_prices, utc_day
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.usage import BilledPart, CallRecord, Usage
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import Prices, Ttl
from agentcache.prompt.spans import SETTINGS, Span

LAYERS = ("tools", "static", "semi_static", "session", "history", "turn")
"""In wire order."""

LIFETIME_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
"""Seconds from the start of the request that wrote or last read an entry (spec section 5)."""

_ZERO = Decimal(0)
_PICO = Decimal("1e-12")
_Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """Until when a prefix lives, in Unix seconds, and for how long each use lets it live on."""

    until: float
    ttl_s: float


_NEVER = _Life(until=0.0, ttl_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanShare:
    """What a run of a prompt was billed. Output is no part of a prompt, so `usage.output_tokens` is zero."""

    span: Span
    usage: Usage
    cost_usd: Decimal | None
    """`None` when the model has no known price."""
    write_usd: Decimal | None
    """What of that was paid for writes."""


def ends_of(spans: Sequence[Span], total: int) -> tuple[int, ...]:
    """Return where each run ends in a prompt of `total` tokens: the estimates stretched, the last end being `total`.

    Rounded to the nearest token, half up; runs of no tokens end where they begin.
    """
    sums = tuple(accumulate(span.tokens for span in spans))
    whole = sums[-1] if sums else 0
    if not whole:
        return (*(0 for _ in sums[:-1]), total) if sums else ()
    return tuple((2 * total * upto + whole) // (2 * whole) for upto in sums)


def between(usage: Usage, start: int, end: int) -> Usage:
    """Return what the tokens `start` to `end` of a prompt were billed as."""
    reads = usage.cache_read_tokens
    hours = reads + usage.cache_write_1h_tokens
    minutes = hours + usage.cache_write_5m_tokens
    return Usage(
        cache_read_tokens=_overlap(start, end, 0, reads),
        cache_write_1h_tokens=_overlap(start, end, reads, hours),
        cache_write_5m_tokens=_overlap(start, end, hours, minutes),
        uncached_input_tokens=_overlap(start, end, minutes, usage.input_tokens),
    )


def split_call(call: CallRecord) -> tuple[SpanShare, ...]:
    """Return what each run of a call's prompt was billed, in wire order.

    Empty when nobody knows: the usage is unknown, or the row says nothing of the prompt's runs.
    """
    spans = call.prompt_spans
    if call.usage is None or not spans:
        return ()
    usages, costs, writes = [Usage()] * len(spans), [_ZERO] * len(spans), [_ZERO] * len(spans)
    priced = True
    for part in call.own_parts:
        prices = _prices(part, call)
        priced = priced and prices is not None
        ends = ends_of(spans, part.usage.input_tokens)
        for place, (start, end) in enumerate(zip((0, *ends), ends, strict=False)):
            share = between(part.usage, start, end)
            usages[place] += share
            if prices is not None:
                costs[place] += _usd(share, prices)
                writes[place] += _write_usd(share, prices)
    return tuple(
        SpanShare(span=span, usage=usage, cost_usd=cost if priced else None, write_usd=write if priced else None)
        for span, usage, cost, write in zip(spans, usages, costs, writes, strict=True)
    )


def input_usd(call: CallRecord) -> Decimal | None:
    """Return what a call's prompt cost, without its answer and its searches; `None` when that is not known."""
    if call.usage is None:
        return None
    amounts = []
    for part in call.own_parts:
        prices = _prices(part, call)
        if prices is None:
            return None
        amounts.append(_usd(part.usage, prices))
    return sum(amounts, _ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """What one layer of an agent's prompts was billed. A name is `None` where the row stands for more than one."""

    agent: str | None = None
    layer: str | None = None
    calls: int = 0
    """Calls whose prompt has the layer."""
    usage: Usage = field(default_factory=Usage)
    rewritten_tokens: int = 0
    """Written although the same prefix had been written, and should have lived."""
    priced_usd: Decimal = _ZERO
    priced_rewritten_usd: Decimal = _ZERO
    """What of that was paid for the rewritten tokens."""
    unpriced_calls: int = 0
    """Calls whose cost is not known: no price for the model, or no usage from the server."""

    @property
    def cost_usd(self) -> Decimal | None:
        """What the prompts' tokens cost; `None` when a call is unpriced."""
        return None if self.unpriced_calls else self.priced_usd

    @property
    def rewritten_usd(self) -> Decimal | None:
        """What writing them again cost, which is part of `cost_usd`; `None` when a call is unpriced."""
        return None if self.unpriced_calls else self.priced_rewritten_usd

    def __add__(self, other: LayerRow) -> LayerRow:
        """Return both rows as one that stands for neither's names; `calls` counts a call once for each row."""
        return LayerRow(
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            rewritten_tokens=self.rewritten_tokens + other.rewritten_tokens,
            priced_usd=self.priced_usd + other.priced_usd,
            priced_rewritten_usd=self.priced_rewritten_usd + other.priced_rewritten_usd,
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
        )

    def to_json(self, days: int) -> JsonObject:
        """Return the row; dollars are decimal text, `None` where they are not known, of a day the mean over `days`."""
        return {
            "agent": self.agent,
            "layer": self.layer,
            "calls": self.calls,
            "uncached_input_tokens": self.usage.uncached_input_tokens,
            "cache_write_5m_tokens": self.usage.cache_write_5m_tokens,
            "cache_write_1h_tokens": self.usage.cache_write_1h_tokens,
            "cache_read_tokens": self.usage.cache_read_tokens,
            "read_share": self.usage.read_share,
            "rewritten_tokens": self.rewritten_tokens,
            "cost_usd": _usd_text(self.cost_usd),
            "rewritten_usd": _usd_text(self.rewritten_usd),
            "cost_per_day_usd": _usd_text(self.cost_usd, days),
            "rewritten_per_day_usd": _usd_text(self.rewritten_usd, days),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSummary:
    """Rows by agent and layer in wire order, their total, and what belongs to no row. `total` has `unattributed` in it.

    Its dollars and tokens are those of the prompts: answers and searches have no layer.
    """

    rows: tuple[LayerRow, ...]
    total: LayerRow
    unattributed: LayerRow
    """Calls without an agent, without usage, or of whose prompt the ledger kept no runs (rows of an older version)."""
    days: int
    """On how many days (UTC) the calls that count were sent; costs per day are the mean over these."""

    def to_json(self) -> JsonObject:
        """Return `rows`, `total` and `unattributed`, each row as `LayerRow.to_json` has it, and `days`."""
        return {
            "rows": [row.to_json(self.days) for row in self.rows],
            "total": self.total.to_json(self.days),
            "unattributed": self.unattributed.to_json(self.days),
            "days": self.days,
        }


def summarise_layers(calls: Iterable[CallRecord], *, only: Selection = EVERYTHING) -> LayerSummary:
    """Return what each layer of each agent's prompts was billed.

    calls: in any order. only: what counts; what others had written is looked at all the same.
    """
    rows: dict[_Key, LayerRow] = defaultdict(LayerRow)
    unattributed = LayerRow()
    cached: dict[str, dict[str, _Life]] = defaultdict(dict)
    count, days = 0, set[str]()
    for call in sorted(calls, key=lambda call: (call.sent_at, call.call_id)):
        shares = split_call(call)
        rewritten = _rewritten(call, shares, cached[call.model])
        if not only.has_call(call):
            continue
        count += 1
        days.add(utc_day(call.sent_at))
        layers = _by_layer(shares, rewritten)
        if call.agent is None or not shares:
            again = sum(layers.values(), LayerRow())
            unattributed += replace(
                _whole(call),
                rewritten_tokens=again.rewritten_tokens,
                priced_rewritten_usd=again.priced_rewritten_usd,
            )
            continue
        for layer, row in layers.items():
            rows[call.agent, layer] += row
    named = [
        replace(rows[key], agent=key[0], layer=key[1])
        for key in sorted(rows, key=lambda key: (key[0], LAYERS.index(key[1])))
    ]
    total = replace(sum(named, LayerRow()) + unattributed, calls=count)
    return LayerSummary(rows=tuple(named), total=total, unattributed=unattributed, days=len(days))


def _by_layer(shares: Sequence[SpanShare], rewritten: Sequence[int]) -> dict[str, LayerRow]:
    """Return a call's rows, one for each layer that its prompt has."""
    rows: dict[str, LayerRow] = {}
    for share, again in zip(shares, rewritten, strict=True):
        if share.span.layer == SETTINGS:
            continue
        row = rows.get(share.span.layer, LayerRow()) + LayerRow(
            usage=share.usage,
            rewritten_tokens=again,
            priced_usd=share.cost_usd or _ZERO,
            # What is written again in a run is all that it wrote.
            priced_rewritten_usd=(share.write_usd or _ZERO) if again else _ZERO,
        )
        rows[share.span.layer] = replace(row, calls=1, unpriced_calls=int(share.cost_usd is None))
    return rows


def _whole(call: CallRecord) -> LayerRow:
    cost = input_usd(call)
    usage = replace(call.usage, output_tokens=0) if call.usage else Usage()
    return LayerRow(calls=1, usage=usage, priced_usd=cost or _ZERO, unpriced_calls=int(cost is None))


def _rewritten(call: CallRecord, shares: Sequence[SpanShare], cached: dict[str, _Life]) -> list[int]:
    """Return for each run what it wrote though it had been written; note in `cached` what this call wrote and read."""
    known = [call.sent_at < cached.get(share.span.digest, _NEVER).until for share in shares]
    deepest = max((place for place, is_known in enumerate(known) if is_known), default=-1)
    again = [share.usage.cache_write_tokens if place <= deepest else 0 for place, share in enumerate(shares)]
    ttl_s = 0.0
    for place, share in reversed(tuple(enumerate(shares))):
        if share.usage.uncached_input_tokens or not share.usage.input_tokens:
            continue
        # An hour's writes stand before those of five minutes; what was only read lives on for as long as before.
        own_s = cached[share.span.digest].ttl_s if known[place] else 0.0
        ttl_s = max(ttl_s, own_s, _written_s(share.usage))
        cached[share.span.digest] = _Life(until=call.sent_at + ttl_s, ttl_s=ttl_s)
    return again


def _written_s(usage: Usage) -> float:
    return LIFETIME_S["1h"] if usage.cache_write_1h_tokens else LIFETIME_S["5m"]


def _prices(part: BilledPart, call: CallRecord) -> Prices | None:
    if part.usage == Usage():
        return Prices(input_usd=_ZERO, write_5m_usd=_ZERO, write_1h_usd=_ZERO, read_usd=_ZERO, output_usd=_ZERO)
    return token_prices(part, on=priced_on(call))


def _usd(usage: Usage, prices: Prices) -> Decimal:
    return (
        usage.uncached_input_tokens * prices.input_usd
        + _write_usd(usage, prices)
        + usage.cache_read_tokens * prices.read_usd
    )


def _write_usd(usage: Usage, prices: Prices) -> Decimal:
    return usage.cache_write_5m_tokens * prices.write_5m_usd + usage.cache_write_1h_tokens * prices.write_1h_usd


def _usd_text(amount: Decimal | None, days: int = 1) -> str | None:
    """Return dollars, or the mean of so many days to the pico-dollar."""
    if amount is None or not days:
        return None
    return plain_usd(amount if days == 1 else (amount / days).quantize(_PICO))


def _overlap(start: int, end: int, first: int, last: int) -> int:
    return max(0, min(end, last) - max(start, first))
