"""What holding calls back took and what it saved, per call and summed up.

The saving is an estimate: had the call not waited it would have written the awaited part of its prefix at the write
price; having waited it read it. It counts only as far as the server billed a read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from agentcache.accounting.call_sums import HeldSums
from agentcache.accounting.pricing import cost_usd, plain_usd, priced_on
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import Ttl

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """The prefix that a call was held for, in estimated tokens. `warm_tokens` of its start could be read anyway."""

    prefix_tokens: int
    warm_tokens: int
    ttl: Ttl
    """Lifetime for which the call would have written it."""


def saved_by_waiting(record: CallRecord, awaited: Awaited | None) -> Decimal | None:
    """Return the estimate of what a call saved by waiting, in dollars; `None` when its price is not known.

    Zero for a call that waited for no prefix, or is not known to have read the one that it waited for.
    """
    if awaited is None or record.usage is None:
        return _ZERO
    if record.cost_usd is None or len(record.own_parts) != 1:
        return None
    part = record.own_parts[0]
    read = part.usage.cache_read_tokens
    tokens = max(0, min(read, awaited.prefix_tokens) - awaited.warm_tokens)
    usage = replace(part.usage, cache_read_tokens=read - tokens)
    if awaited.ttl == "1h":
        written = replace(usage, cache_write_1h_tokens=usage.cache_write_1h_tokens + tokens)
    else:
        written = replace(usage, cache_write_5m_tokens=usage.cache_write_5m_tokens + tokens)
    on = priced_on(record)
    without, paid = cost_usd(replace(part, usage=written), on=on), cost_usd(part, on=on)
    return None if without is None or paid is None else without - paid


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How long calls were held back before they were sent, and what that saved. Seconds; dollars are estimates."""

    held_calls: int = 0
    held_s: float = 0.0
    median_s: float | None = None
    """Of the calls that were held; `None` when none was."""
    by_reason_s: Mapping[str, float] = field(default_factory=dict)
    saved_usd: Decimal | None = _ZERO
    """`None` when the price of a call that waited for a prefix is not known."""
    unknown_calls: int = 0
    """Calls of which nobody noted whether they were held: rows older than the columns for it."""

    def to_json(self) -> JsonObject:
        """Return the object `waiting` of the report JSON."""
        return {
            "held_calls": self.held_calls,
            "held_s": self.held_s,
            "median_held_s": self.median_s,
            "held_s_by_reason": dict(self.by_reason_s),
            "saved_usd": None if self.saved_usd is None else plain_usd(self.saved_usd),
            "unknown_calls": self.unknown_calls,
        }


def waiting_of(held: HeldSums, unknown_calls: int) -> Waiting:
    """Return how long calls were held back in all, and what that saved.

    unknown_calls: those of which nobody noted it. Sums are exact to the microsecond, the median is to the millisecond.
    """
    return Waiting(
        held_calls=held.millis.total(),
        held_s=held.micro / 1e6,
        median_s=_median(held.millis) / 1e3 if held.millis else None,
        by_reason_s={reason: micro / 1e6 for reason, micro in sorted(held.by_reason.items())},
        saved_usd=None if held.unsaved else held.saved_usd,
        unknown_calls=unknown_calls,
    )


def sum_waiting(calls: Iterable[CallRecord]) -> Waiting:
    """Return how long `calls` were held back in all, and what that saved."""
    held, unknown = HeldSums(), 0
    for call in calls:
        if call.held_s is None:
            unknown += 1
        elif call.held_s:
            held.take(call.held_s, call.held_saved_usd)
    return waiting_of(held, unknown)


def _median(counts: Counter[int]) -> float:
    """Return the median of values that occur so often."""
    total, seen = counts.total(), 0
    middle = ((total - 1) // 2, total // 2)
    found: list[int] = []
    for value in sorted(counts):
        seen += counts[value]
        while len(found) < len(middle) and middle[len(found)] < seen:
            found.append(value)
    return sum(found) / len(found)
