"""The ledger summed up: who used what, what it cost, and what it would have cost without caching.

Decides whose row a call counts in, and when a sum of dollars is not known. Every call counts exactly once: in the row
of its agent (or run, or model, or day), or under `unattributed` when it names no agent (by day it has a row all the
same) or when nobody knows what it used.
A sum of dollars that lacks one call's price is no sum: it is `None`, and the summary says which models lack one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from agentcache.accounting.call_sums import HOUR_S, CallKey, CallSums, HeldSums, ToolKey, ToolSums
from agentcache.accounting.pricing import plain_usd, utc_day
from agentcache.accounting.rollup import Rollup, rollup_of
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord, Usage
from agentcache.accounting.waiting import Waiting, waiting_of
from agentcache.prompt.canonical import JsonObject

Grouping: TypeAlias = Literal["agent", "run", "model", "day"]

_ZERO = Decimal(0)
_Key: TypeAlias = tuple[str, str]
_UNATTRIBUTED: _Key = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One row of a summary. A name is `None` where the row stands for more than one of its kind."""

    run: str | None = None
    name: str | None = None
    day: str | None = None
    """ISO date of a day in UTC."""
    agent: str | None = None
    model: str | None = None
    calls: int = 0
    """Rows of the ledger, answered or not; a compaction or an advisor's answer is a row of its own."""
    usage: Usage = field(default_factory=Usage)
    priced_usd: Decimal = _ZERO
    """What the priced calls cost."""
    priced_counterfactual_usd: Decimal = _ZERO
    """What the priced calls would have cost with no caching."""
    unpriced_calls: int = 0
    """Calls whose cost is not known: no price for the model, or no usage from the server."""
    wasted_write_tokens: int = 0
    memo_hits: int = 0
    tool_calls: int = 0
    """Tool calls, memo hits included."""
    errors: int = 0
    """Calls that ended in an error."""

    @property
    def cost_usd(self) -> Decimal | None:
        """What all calls cost; `None` when one of them is unpriced."""
        return None if self.unpriced_calls else self.priced_usd

    @property
    def counterfactual_usd(self) -> Decimal | None:
        """What all calls would have cost with no caching; `None` when one of them is unpriced."""
        return None if self.unpriced_calls else self.priced_counterfactual_usd

    @property
    def saved_usd(self) -> Decimal | None:
        """Counterfactual less cost, below zero where caching cost more than it saved; `None` when unpriced."""
        return None if self.unpriced_calls else self.priced_counterfactual_usd - self.priced_usd

    @property
    def is_empty(self) -> bool:
        """Whether nothing counts in this row."""
        return not self.calls and not self.tool_calls

    def __add__(self, other: SummaryRow) -> SummaryRow:
        """Return both rows as one that stands for neither's names."""
        return SummaryRow(
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            priced_usd=self.priced_usd + other.priced_usd,
            priced_counterfactual_usd=self.priced_counterfactual_usd + other.priced_counterfactual_usd,
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            wasted_write_tokens=self.wasted_write_tokens + other.wasted_write_tokens,
            memo_hits=self.memo_hits + other.memo_hits,
            tool_calls=self.tool_calls + other.tool_calls,
            errors=self.errors + other.errors,
        )

    def to_json(self) -> JsonObject:
        """Return the row as docs/formats.md has it; dollars are decimal text, `None` where they are not known."""
        return {
            "agent": self.agent,
            "model": self.model,
            "calls": self.calls,
            "uncached_input_tokens": self.usage.uncached_input_tokens,
            "cache_write_5m_tokens": self.usage.cache_write_5m_tokens,
            "cache_write_1h_tokens": self.usage.cache_write_1h_tokens,
            "cache_read_tokens": self.usage.cache_read_tokens,
            "output_tokens": self.usage.output_tokens,
            "cost_usd": _usd_text(self.cost_usd),
            "counterfactual_usd": _usd_text(self.counterfactual_usd),
            "saved_usd": _usd_text(self.saved_usd),
            "read_share": self.usage.read_share,
            "wasted_write_tokens": self.wasted_write_tokens,
            "memo_hits": self.memo_hits,
            "tool_calls": self.tool_calls,
            "errors": self.errors,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Rows sorted by their names, their total, and what belongs to no row. `total` includes `unattributed`."""

    by: Grouping
    rows: tuple[SummaryRow, ...]
    total: SummaryRow
    unattributed: SummaryRow
    unpriced_models: tuple[str, ...]
    """Models with calls whose usage is known and whose price is not, sorted."""
    unknown_usage_calls: int
    """Calls whose usage the server never reported; they stand under `unattributed`."""
    waiting: Waiting = field(default_factory=Waiting)
    """How long calls were held back by the scheduler, and what that saved."""

    def to_json(self) -> JsonObject:
        """Return the report JSON of docs/formats.md.

        By run, each row begins with `run` (its id) and `name`; by day with `day`.
        """
        return {
            "rows": [self.row_json(row) for row in self.rows],
            "total": self.total.to_json(),
            "unattributed": self.unattributed.to_json(),
            "waiting": self.waiting.to_json(),
        }

    def row_json(self, row: SummaryRow) -> JsonObject:
        """Return a row of this summary, its unattributed one or its total with the names that its rows have."""
        names: dict[Grouping, JsonObject] = {"run": {"run": row.run, "name": row.name}, "day": {"day": row.day}}
        return names.get(self.by, {}) | row.to_json()


def summarise(
    calls: Iterable[CallRecord],
    tool_calls: Iterable[ToolCallRecord] = (),
    *,
    by: Grouping = "agent",
    runs: Iterable[RunRecord] = (),
    only: Selection = EVERYTHING,
) -> Summary:
    """Return the summary of calls and tool calls; `summary_of` says how they are grouped.

    only: what counts; all `calls` tell what was read, and so which written tokens were wasted.
    """
    return summary_of(rollup_of(calls, tool_calls, only=only), by=by, runs=runs)


def summary_of(rollup: Rollup, *, by: Grouping = "agent", runs: Iterable[RunRecord] = ()) -> Summary:
    """Return the summary of sums.

    by: `agent` gives a row to each agent and model, `model` to each model, `day` to each day (UTC) on which calls were
        sent, `run` to each top-level run with everything nested in it. `runs` says how runs nest and what they are
        called; a run that is not among them counts as a top-level run of no name.

    A tool call counts in the row of the call that asked for it. Where that call is not in the ledger, it counts in the
    first row of its agent, or under `unattributed` when the agent has none. By day it counts when it began.
    """
    tops = _TopLevelRuns({run.run_id: run for run in runs})
    groups: dict[_Key, CallSums] = defaultdict(CallSums)
    for key, calls in rollup.calls.items():
        groups[_key_of_calls(key, by, tops)].add(calls)
    tools = _grouped_tools(rollup, by, tops, groups)
    whole, whole_tools = CallSums(), ToolSums()
    for calls in groups.values():
        whole.add(calls)
    for counts in tools.values():
        whole_tools.add(counts)
    none, no_tools = CallSums(), ToolSums()
    named = sorted({*groups, *tools} - {_UNATTRIBUTED})
    return Summary(
        by=by,
        rows=tuple(_row(groups.get(key, none), tools.get(key, no_tools), key, by) for key in named),
        total=_row(whole, whole_tools),
        unattributed=_row(groups.get(_UNATTRIBUTED, none), tools.get(_UNATTRIBUTED, no_tools)),
        unpriced_models=tuple(sorted(whole.unpriced_models)),
        unknown_usage_calls=sum(calls.calls for key, calls in rollup.calls.items() if not key.is_billed),
        waiting=waiting_of(whole.held or HeldSums(), whole.unnoted),
    )


@dataclass(frozen=True, slots=True)
class _TopLevelRuns:
    runs: Mapping[str, RunRecord]

    def key(self, run_id: str) -> _Key:
        """Return name and id of the top-level run that a run is nested in, its own when it is one."""
        run = self.runs.get(run_id)
        if run is None:
            return ("", run_id)
        while (above := self.runs.get(run.parent_run_id or "")) is not None:
            run = above
        return (run.name, run.run_id)


def _key_of_calls(key: CallKey, by: Grouping, tops: _TopLevelRuns) -> _Key:
    if not key.is_billed:
        return _UNATTRIBUTED
    if by == "day":
        return (_day(key.hour), "")
    if key.agent is None:
        return _UNATTRIBUTED
    if by == "run":
        return tops.key(key.run_id)
    return (key.agent, key.model) if by == "agent" else (key.model, "")


def _grouped_tools(
    rollup: Rollup, by: Grouping, tops: _TopLevelRuns, calls: Collection[_Key]
) -> Mapping[_Key, ToolSums]:
    tools: dict[_Key, ToolSums] = defaultdict(ToolSums)
    for key, counts in rollup.tools.items():
        if key.is_known:
            tools[_key_of_tools(key, by, tops)].add(counts)
    known = {*calls, *tools}
    for key, counts in rollup.tools.items():
        if not key.is_known:
            tools[_key_of_unknown(key, by, tops, known)].add(counts)
    return tools


def _key_of_tools(key: ToolKey, by: Grouping, tops: _TopLevelRuns) -> _Key:
    """Return the key of tool calls that known calls asked for."""
    asked = CallKey(key.hour, key.run_id, key.asked_by, key.asked_model, key.is_billed)
    return _key_of_calls(asked, by, tops)


def _key_of_unknown(key: ToolKey, by: Grouping, tops: _TopLevelRuns, known: Collection[_Key]) -> _Key:
    """Return the key of tool calls that calls asked for which are not known."""
    if by == "day":
        return (_day(key.hour), "")
    if key.agent is None:
        return _UNATTRIBUTED
    if by == "run":
        return tops.key(key.run_id)
    own = [name for name in known if name[0] == key.agent] if by == "agent" else []
    return min(own, default=_UNATTRIBUTED)


def _day(hour: int) -> str:
    return utc_day(hour * HOUR_S)


def _row(sums: CallSums, tools: ToolSums, key: _Key = _UNATTRIBUTED, by: Grouping | None = None) -> SummaryRow:
    """Return the row of sums; without `by` it stands for nobody's names."""
    return SummaryRow(
        run=key[1] if by == "run" else None,
        name=key[0] or None if by == "run" else None,
        day=key[0] if by == "day" else None,
        agent=key[0] if by == "agent" else None,
        model={"agent": key[1], "model": key[0]}.get(by or ""),
        calls=sums.calls,
        usage=Usage(
            uncached_input_tokens=sums.uncached,
            cache_write_5m_tokens=sums.written_5m,
            cache_write_1h_tokens=sums.written_1h,
            cache_read_tokens=sums.read,
            output_tokens=sums.output,
        ),
        priced_usd=sums.priced_usd,
        priced_counterfactual_usd=sums.priced_counterfactual_usd,
        unpriced_calls=sums.unpriced,
        wasted_write_tokens=sums.wasted_tokens,
        memo_hits=tools.memo_hits,
        tool_calls=tools.calls,
        errors=sums.errors,
    )


def _usd_text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain_usd(amount)
