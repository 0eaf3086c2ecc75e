"""What was spent when: the cost of calls per agent and span of time, all spans of one length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from agentcache.accounting.billed_calls import SentCall
from agentcache.accounting.call_sums import HOUR_S, CallSums, CallTable
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject

_STEPS_S = (60, 300, 900, 3_600, 21_600, 86_400, 604_800)
"""A minute to a week: what people divide time into."""

_AT_MOST = 48
"""Spans of a series, unless it takes so many weeks that there must be more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentInSpan:
    """What an agent's calls cost in a span that begins at `since` (Unix seconds). `agent` is `None` where nobody knows.

    `priced_usd` lacks `unpriced_calls`: those of unknown usage or price.
    """

    since: float
    agent: str | None
    calls: int
    priced_usd: Decimal
    unpriced_calls: int

    def to_json(self) -> JsonObject:
        """Return the fields; `since` is a UTC time, `cost_usd` decimal text, or `None` when it lacks a call."""
        return {
            "since": datetime.fromtimestamp(self.since, UTC).isoformat(timespec="minutes"),
            "agent": self.agent,
            "calls": self.calls,
            "cost_usd": None if self.unpriced_calls else plain_usd(self.priced_usd),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSeries:
    """What was spent, in spans of `step_s` seconds; `since` is when each begins, those without calls too."""

    step_s: int
    since: tuple[float, ...]
    spent: tuple[SpentInSpan, ...]
    """Sorted by time and agent; nothing for a span in which an agent made no call."""


def cost_over_time(calls: Iterable[CallRecord | SentCall]) -> CostSeries:
    """Return what the calls cost per agent, in at most 48 spans where they are a week or shorter."""
    calls = list(calls)
    first = min((call.sent_at for call in calls), default=0.0)
    last = max((call.sent_at for call in calls), default=0.0)
    step_s = step_of(first, last)
    groups: dict[tuple[int, str], list[CallRecord | SentCall]] = defaultdict(list)
    for call in calls:
        groups[int(call.sent_at // step_s), call.agent or ""].append(call)
    numbers = range(int(first // step_s), int(last // step_s) + 1) if calls else range(0)
    return CostSeries(
        step_s=step_s,
        since=tuple(float(number * step_s) for number in numbers),
        spent=tuple(_spent(groups[number, agent], number * step_s) for number, agent in sorted(groups)),
    )


def step_of(first: float, last: float) -> int:
    """Return how long the spans are, in seconds, of a series of calls of which the first and last were sent then."""
    return next((step for step in _STEPS_S if (last - first) / step < _AT_MOST - 1), _STEPS_S[-1])


def cost_of_hours(table: CallTable, first: float, last: float) -> CostSeries:
    """Return what `cost_over_time` does, from sums by hour; `step_of` must give whole hours for the two times."""
    step_s = step_of(first, last)
    groups: dict[tuple[int, str], CallSums] = defaultdict(CallSums)
    for key, sums in table.items():
        if sums.calls:
            groups[key.hour * HOUR_S // step_s, key.agent or ""].add(sums)
    spent = (
        SpentInSpan(
            since=float(number * step_s),
            agent=agent or None,
            calls=groups[number, agent].calls,
            priced_usd=groups[number, agent].priced_usd,
            unpriced_calls=groups[number, agent].unpriced,
        )
        for number, agent in sorted(groups)
    )
    numbers = range(int(first // step_s), int(last // step_s) + 1)
    return CostSeries(step_s=step_s, since=tuple(float(number * step_s) for number in numbers), spent=tuple(spent))


def _spent(calls: Sequence[CallRecord | SentCall], since: float) -> SpentInSpan:
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    return SpentInSpan(
        since=float(since),
        agent=calls[0].agent,
        calls=len(calls),
        priced_usd=sum(costs, Decimal(0)),
        unpriced_calls=len(calls) - len(costs),
    )
