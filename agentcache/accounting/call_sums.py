"""Sums of calls that can be added up, kept as JSON, and added up again: exactly, in whatever order.

Dollars are `Decimal`. Seconds are counted in whole microseconds, since sums of floats depend on their order; how long
single calls were held is counted in whole milliseconds, of which the median is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeAlias, cast

from agentcache.accounting.billed_calls import AskedToolCall, BilledCall
from agentcache.accounting.pricing import plain_usd
from agentcache.prompt.canonical import JsonValue

HOUR_S, HOURS_OF_DAY = 3600, 24

_ZERO = Decimal(0)
_MICRO, _MILLI = 1_000_000, 1_000


class CallKey(NamedTuple):
    """Whose calls a sum is of. In a sum of a day `hour` is its first one, and `run_id` is empty."""

    hour: int
    """Hours since 1970 in UTC."""
    run_id: str
    agent: str | None
    model: str
    is_billed: bool
    """False for calls of unknown usage, which are nobody's."""

    def of_day(self) -> CallKey:
        """Return the key of the sum of the whole day, over all runs."""
        return CallKey(self.hour - self.hour % HOURS_OF_DAY, "", self.agent, self.model, self.is_billed)


class ToolKey(NamedTuple):
    """Whose tool calls a count is of: fields as those of `CallKey` and `AskedToolCall`."""

    hour: int
    """In which they began."""
    run_id: str
    agent: str | None
    is_known: bool
    is_billed: bool
    asked_by: str | None
    asked_model: str

    def of_day(self) -> ToolKey:
        """Return the key of the count of the whole day, over all runs."""
        return self._replace(hour=self.hour - self.hour % HOURS_OF_DAY, run_id="")


@dataclass(slots=True)
class HeldSums:
    """How long calls were held back, and what that saved."""

    micro: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    """Microseconds by reason."""
    millis: Counter[int] = field(default_factory=Counter)
    """Calls by the milliseconds that each was held."""
    saved_usd: Decimal = _ZERO
    unsaved: int = 0
    """Calls of which it is not known what they saved."""

    def take(self, held_s: Mapping[str, float], saved_usd: Decimal | None) -> None:
        """Add a call that was held."""
        micros = {reason: round(seconds * _MICRO) for reason, seconds in held_s.items()}
        self.by_reason.update(micros)
        self.micro += sum(micros.values())
        self.millis[round(sum(held_s.values()) * _MILLI)] += 1
        if saved_usd is None:
            self.unsaved += 1
        else:
            self.saved_usd += saved_usd

    def add(self, other: HeldSums) -> None:
        """Add what another holds."""
        self.micro += other.micro
        self.by_reason.update(other.by_reason)
        self.millis.update(other.millis)
        self.saved_usd += other.saved_usd
        self.unsaved += other.unsaved


@dataclass(slots=True)
class CallSums:
    """What calls used and cost."""

    calls: int = 0
    uncached: int = 0
    written_5m: int = 0
    written_1h: int = 0
    read: int = 0
    output: int = 0
    priced_usd: Decimal = _ZERO
    priced_counterfactual_usd: Decimal = _ZERO
    unpriced: int = 0
    errors: int = 0
    wasted_tokens: int = 0
    """Not in the JSON: what a call wasted is known when what it wrote is closed, and is kept apart."""
    unnoted: int = 0
    """Calls of which nobody noted whether they were held."""
    held: HeldSums | None = None
    """`None` when none was held."""
    unpriced_models: frozenset[str] = frozenset()

    def take(self, call: BilledCall) -> None:
        """Add a call."""
        self.calls += 1
        if call.usage is not None:
            uncached, written_5m, written_1h, read, output = call.usage
            self.uncached += uncached
            self.written_5m += written_5m
            self.written_1h += written_1h
            self.read += read
            self.output += output
        if call.cost_usd is not None:
            self.priced_usd += call.cost_usd
        if call.counterfactual_usd is not None:
            self.priced_counterfactual_usd += call.counterfactual_usd
        if call.cost_usd is None or call.counterfactual_usd is None:
            self.unpriced += 1
            self.unpriced_models |= frozenset(call.unpriced_models)
        if call.failed:
            self.errors += 1
        if call.held_s is None:
            self.unnoted += 1
        elif call.held_s:
            self.held = self.held or HeldSums()
            self.held.take(call.held_s, call.held_saved_usd)

    def add(self, other: CallSums) -> None:
        """Add what another holds."""
        self.calls += other.calls
        self.uncached += other.uncached
        self.written_5m += other.written_5m
        self.written_1h += other.written_1h
        self.read += other.read
        self.output += other.output
        self.priced_usd += other.priced_usd
        self.priced_counterfactual_usd += other.priced_counterfactual_usd
        self.unpriced += other.unpriced
        self.errors += other.errors
        self.wasted_tokens += other.wasted_tokens
        self.unnoted += other.unnoted
        if other.held is not None:
            self.held = self.held or HeldSums()
            self.held.add(other.held)
        if other.unpriced_models:
            self.unpriced_models |= other.unpriced_models


@dataclass(slots=True)
class ToolSums:
    """How many tool calls there were, and how many of them the memo answered."""

    calls: int = 0
    memo_hits: int = 0

    def add(self, other: ToolSums) -> None:
        """Add what another holds."""
        self.calls += other.calls
        self.memo_hits += other.memo_hits


CallTable: TypeAlias = dict[CallKey, CallSums]
ToolTable: TypeAlias = dict[ToolKey, ToolSums]


def take_call(table: CallTable, call: BilledCall) -> None:
    """Add a call to the sum of its hour, run, agent and model."""
    key = CallKey(int(call.sent_at // HOUR_S), call.run_id, call.agent, call.model, call.usage is not None)
    sums = table.get(key)
    if sums is None:
        sums = table[key] = CallSums()
    sums.take(call)


def take_tool_call(table: ToolTable, call: AskedToolCall) -> None:
    """Add a tool call to the count of its hour, run and agent."""
    hour = int(call.started_at // HOUR_S)
    key = ToolKey(hour, call.run_id, call.agent, call.is_known, call.is_billed, call.asked_by, call.asked_model)
    sums = table.get(key)
    if sums is None:
        sums = table[key] = ToolSums()
    sums.calls += 1
    sums.memo_hits += call.memo_hit


def add_calls(table: CallTable, others: Iterable[tuple[CallKey, CallSums]]) -> None:
    """Add sums to those of their keys; the others stay as they are."""
    for key, sums in others:
        there = table.get(key)
        if there is None:
            there = table[key] = CallSums()
        there.add(sums)


def add_tools(table: ToolTable, others: Iterable[tuple[ToolKey, ToolSums]]) -> None:
    """Add counts to those of their keys; the others stay as they are."""
    for key, sums in others:
        there = table.get(key)
        if there is None:
            there = table[key] = ToolSums()
        there.add(sums)


def calls_to_json(table: CallTable) -> list[JsonValue]:
    """Return a table as JSON, a list for each key."""
    return [
        [
            *key,
            sums.calls,
            sums.uncached,
            sums.written_5m,
            sums.written_1h,
            sums.read,
            sums.output,
            plain_usd(sums.priced_usd),
            plain_usd(sums.priced_counterfactual_usd),
            sums.unpriced,
            sums.errors,
            sums.unnoted,
            None if sums.held is None else _held_to_json(sums.held),
            list[JsonValue](sorted(sums.unpriced_models)),
        ]
        for key, sums in table.items()
    ]


def calls_from_json(told: JsonValue) -> CallTable:
    """Return the table that `calls_to_json` was given, without what was wasted."""
    table: CallTable = {}
    for item in cast("Sequence[_CallsJson]", told):
        hour, run_id, agent, model, is_billed, calls, uncached, five, hours, read, output, usd, without, *rest = item
        unpriced, errors, unnoted, held, models = cast("_RestJson", rest)
        table[CallKey(hour, run_id, agent, model, is_billed)] = CallSums(
            calls=calls,
            uncached=uncached,
            written_5m=five,
            written_1h=hours,
            read=read,
            output=output,
            priced_usd=Decimal(usd),
            priced_counterfactual_usd=Decimal(without),
            unpriced=unpriced,
            errors=errors,
            unnoted=unnoted,
            held=None if held is None else _held_from_json(held),
            unpriced_models=frozenset(models),
        )
    return table


def tools_to_json(table: ToolTable) -> list[JsonValue]:
    """Return a table as JSON, a list for each key."""
    return [[*key, sums.calls, sums.memo_hits] for key, sums in table.items()]


def tools_from_json(told: JsonValue) -> ToolTable:
    """Return the table that `tools_to_json` was given."""
    table: ToolTable = {}
    for *key, calls, hits in cast("Sequence[_ToolsJson]", told):
        table[ToolKey(*cast("_ToolKeyJson", key))] = ToolSums(calls, hits)
    return table


_HeldJson: TypeAlias = tuple[int, dict[str, int], list[tuple[int, int]], str, int]
_RestJson: TypeAlias = tuple[int, int, int, _HeldJson | None, list[str]]
_CallsJson: TypeAlias = tuple[
    int, str, str | None, str, bool, int, int, int, int, int, int, str, str, int, int, int, _HeldJson | None, list[str]
]
_ToolKeyJson: TypeAlias = tuple[int, str, str | None, bool, bool, str | None, str]
_ToolsJson: TypeAlias = tuple[int, str, str | None, bool, bool, str | None, str, int, int]


def _held_to_json(held: HeldSums) -> list[JsonValue]:
    millis: list[JsonValue] = [[span, count] for span, count in sorted(held.millis.items())]
    return [held.micro, dict(held.by_reason), millis, plain_usd(held.saved_usd), held.unsaved]


def _held_from_json(told: _HeldJson) -> HeldSums:
    micro, by_reason, millis, saved_usd, unsaved = told
    return HeldSums(
        micro=micro,
        by_reason=Counter(by_reason),
        millis=Counter(dict(millis)),
        saved_usd=Decimal(saved_usd),
        unsaved=unsaved,
    )
