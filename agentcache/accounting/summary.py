"""The ledger summed up: who used what, what it cost, and what it would have cost without caching.

Decides whose row a call counts in, and when a sum of dollars is not known. Every call counts exactly once: in the row
of its agent (or run, or model, or day), or under `unattributed` when it names no agent (by day it has a row all the
same) or when nobody knows what it used.
A sum of dollars that lacks one call's price is no sum: it is `None`, and the summary says which models lack one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, TypeAlias

from agentcache.accounting.pricing import cost_usd, plain_usd, utc_day
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord, Usage
from agentcache.accounting.waiting import Waiting, sum_waiting
from agentcache.accounting.wasted_writes import wasted_write_tokens
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
        """Return the row as DESIGN section 7 has it; dollars are decimal text, `None` where they are not known."""
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
        """Return the report JSON of DESIGN section 7.

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
    """Return the summary of calls and tool calls.

    by: `agent` gives a row to each agent and model, `model` to each model, `day` to each day (UTC) on which calls were
        sent, `run` to each top-level run with everything nested in it. `runs` says how runs nest and what they are
        called; a run that is not among them counts as a top-level run of no name.

    A tool call counts where the call that asked for it counts. Where that call is not among `calls`, it counts in
    the first row of its agent, or by day on the day that it began, or under `unattributed` when the agent has none.

    only: what counts; all `calls` tell what was read, and so which written tokens were wasted.
    """
    calls = list(calls)
    tops = _TopLevelRuns({run.run_id: run for run in runs})
    wasted = wasted_write_tokens(calls)
    if only != EVERYTHING:
        known = {call.call_id: call for call in calls}
        tool_calls = [tool_call for tool_call in tool_calls if only.has_tool_call(tool_call, known)]
        calls = [call for call in calls if only.has_call(call)]
    keys = {call.call_id: _key_of_call(call, by, tops) for call in calls}
    sums: dict[_Key, SummaryRow] = defaultdict(SummaryRow)
    for call in calls:
        sums[keys[call.call_id]] += _row_of_call(call, wasted.get(call.call_id, 0))
    for tool_call in tool_calls:
        key = keys.get(tool_call.call_id) or _key_of_tool_call(tool_call, by, tops, list(sums))
        sums[key] += SummaryRow(tool_calls=1, memo_hits=int(tool_call.memo_hit))
    unattributed = sums.pop(_UNATTRIBUTED, SummaryRow())
    rows = tuple(_named(sums[key], key, by) for key in sorted(sums))
    return Summary(
        by=by,
        rows=rows,
        total=sum(rows, unattributed),
        unattributed=unattributed,
        unpriced_models=tuple(sorted({model for call in calls for model in _unpriced_models(call)})),
        unknown_usage_calls=sum(call.usage is None for call in calls),
        waiting=sum_waiting(calls),
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


def _key_of_call(call: CallRecord, by: Grouping, tops: _TopLevelRuns) -> _Key:
    if call.usage is None:
        return _UNATTRIBUTED
    if by == "day":
        return (utc_day(call.sent_at), "")
    if call.agent is None:
        return _UNATTRIBUTED
    if by == "run":
        return tops.key(call.run_id)
    return (call.agent, call.model) if by == "agent" else (call.model, "")


def _key_of_tool_call(tool_call: ToolCallRecord, by: Grouping, tops: _TopLevelRuns, keys: Collection[_Key]) -> _Key:
    """Return the key for a tool call whose call is not known."""
    if by == "day":
        return (utc_day(tool_call.started_at), "")
    if tool_call.agent is None:
        return _UNATTRIBUTED
    if by == "run":
        return tops.key(tool_call.run_id)
    own = [key for key in keys if key[0] == tool_call.agent] if by == "agent" else []
    return min(own, default=_UNATTRIBUTED)


def _row_of_call(call: CallRecord, wasted: int) -> SummaryRow:
    return SummaryRow(
        calls=1,
        usage=call.usage or Usage(),
        priced_usd=call.cost_usd or _ZERO,
        priced_counterfactual_usd=call.counterfactual_usd or _ZERO,
        unpriced_calls=int(call.cost_usd is None or call.counterfactual_usd is None),
        wasted_write_tokens=wasted,
        errors=int(call.error is not None),
    )


def _named(row: SummaryRow, key: _Key, by: Grouping) -> SummaryRow:
    if by == "run":
        return replace(row, run=key[1], name=key[0] or None)
    if by == "day":
        return replace(row, day=key[0])
    return replace(row, agent=key[0], model=key[1]) if by == "agent" else replace(row, model=key[0])


def _unpriced_models(call: CallRecord) -> list[str]:
    """Return the models that a call of known usage lacks a price for."""
    if call.usage is None or call.cost_usd is not None:
        return []
    return [part.model for part in call.own_parts if cost_usd(part) is None] or [call.model]


def _usd_text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain_usd(amount)
