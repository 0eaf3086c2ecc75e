"""How long a line of calls paused between one call and the next, counted against the lifetimes of the cache.

A line is what continues one prompt: the calls of an agent and model in one conversation or, without one, in one run.
A gap is measured from sending to sending, since a read renews what it reads when it is sent. What the server caused
inside a call has no gap of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TypeAlias

from agentcache.accounting.billed_calls import SentCall
from agentcache.accounting.usage import SIDE_KINDS, CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import Ttl

_Line: TypeAlias = tuple[str | None, str, str, str]

_UPTO_S: tuple[tuple[str, float, Ttl], ...] = (
    ("up to 1 s", 1, "5m"),
    ("1 to 10 s", 10, "5m"),
    ("10 to 60 s", 60, "5m"),
    ("1 to 5 min", 300, "5m"),
    ("5 to 15 min", 900, "1h"),
    ("15 to 60 min", 3_600, "1h"),
)
"""Spans up to and including so many seconds, and the shortest lifetime that outlasts each."""

LONGER = "over 1 h"

GAP_SPANS: Mapping[str, float] = MappingProxyType({span: upto_s for span, upto_s, _ in _UPTO_S})
"""Seconds up to and including which each span goes; what is longer is `LONGER`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapCount:
    """How many gaps fell into a span. `outlasted_by` is the shortest lifetime as long as all of them, or `None`."""

    span: str
    gaps: int
    outlasted_by: Ttl | None

    def to_json(self) -> JsonObject:
        """Return the three fields."""
        return {"span": self.span, "gaps": self.gaps, "outlasted_by": self.outlasted_by}


def gap_histogram(calls: Iterable[CallRecord | SentCall]) -> tuple[GapCount, ...]:
    """Return the gaps of all lines, a count for every span, shortest first. Calls come in any order."""
    lines: dict[_Line, list[float]] = defaultdict(list)
    for call in calls:
        if call.kind not in SIDE_KINDS:
            lines[_line(call)].append(call.sent_at)
    gaps = (later - earlier for times in lines.values() for earlier, later in pairwise(sorted(times)))
    return gap_counts(Counter(map(_span, gaps)))


def gap_counts(counts: Mapping[str, int]) -> tuple[GapCount, ...]:
    """Return a count for every span, shortest first, from those of the spans (`GAP_SPANS`) that have gaps."""
    counts = Counter(counts)
    spans = [GapCount(span=span, gaps=counts[span], outlasted_by=ttl) for span, _, ttl in _UPTO_S]
    return (*spans, GapCount(span=LONGER, gaps=counts[LONGER], outlasted_by=None))


def _span(gap_s: float) -> str:
    return next((span for span, upto_s, _ in _UPTO_S if gap_s <= upto_s), LONGER)


def _line(call: CallRecord | SentCall) -> _Line:
    if call.conversation is not None:
        return (call.agent, call.model, "conversation", call.conversation)
    return (call.agent, call.model, "run", call.run_id)
