"""The ledger's tool calls summed up: per tool and agent, how each was answered, what it took and what the memo saved.

Every tool call counts exactly once: in the row of its tool and agent, or under `unattributed` when it names no agent.
Rows from before the ledger kept where an answer came from say only whether it came from the memo. A sum that lacks
something of such a call is no sum: it is `None`, and what is known of it stands beside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, fsum
from statistics import median
from typing import NamedTuple, TypeAlias

from agentcache.accounting.usage import ToolCallRecord
from agentcache.prompt.canonical import JsonObject

TIERS = ("memory", "sqlite", "redis")
"""Where a kept result may come from, nearest first."""

FAILED = ("error", "timeout", "invalid_arguments", "unknown_tool", "declined", "cancelled")
"""What may become of a call but `ok`."""

_RAN = frozenset({"ok", "error", "timeout"})
"""Outcomes of calls that reached the tool and came to an end."""

_Key: TypeAlias = tuple[str, str]


class ToolResult(NamedTuple):
    """A tool call, without what no sum needs; fields mean what those of `ToolCallRecord` mean."""

    tool_call_id: str
    tool: str
    agent: str | None
    started_at: float
    ended_at: float
    outcome: str
    memo_hit: bool
    memo_tier: str | None
    memo_saved_s: float | None
    result_bytes: int | None
    result_tokens: int | None
    result_digest: str | None


def tool_result(call: ToolCallRecord) -> ToolResult:
    """Return what sums need of a record."""
    return ToolResult(*(getattr(call, name) for name in ToolResult._fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSum:
    """A sum of what is known, and of how many calls it lacks."""

    known: float = 0
    lacking: int = 0

    @property
    def value(self) -> float | None:
        """The sum; `None` when it lacks a call."""
        return None if self.lacking else self.known


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long executions took, in seconds. `p95_s` is one that occurred: 95 of 100 took no longer."""

    mean_s: float
    median_s: float
    p95_s: float

    def to_json(self) -> JsonObject:
        """Return mean, median and p95, in seconds."""
        return {"mean": self.mean_s, "median": self.median_s, "p95": self.p95_s}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRow:
    """What became of the calls of a tool by an agent. A name is `None` where the row stands for more than one.

    executed: calls that reached the tool and came to an end: well, in an error or by its time limit.
    kept: answers from kept results, by tier; `unknown` are those of rows that do not say which.
    shared: calls that were answered together with an equal one under way.
    failed: calls by outcome, but for `ok`.
    result_bytes: of all results. identical_tokens: of results that came from the memo, and so are to the byte what was
    sent before (estimate). saved_s: what the executions took that the memo stood in for.
    repeated: executions that returned to the byte what the tool had returned before, whatever the arguments.
    durations: of what was executed; `None` when nothing was.
    unknown_calls: calls of rows from before all this was kept.
    """

    tool: str | None = None
    agent: str | None = None
    calls: int = 0
    executed: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    shared: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    result_bytes: PartialSum = field(default_factory=PartialSum)
    identical_tokens: PartialSum = field(default_factory=PartialSum)
    saved_s: PartialSum = field(default_factory=PartialSum)
    repeated: int = 0
    durations: Durations | None = None
    unknown_calls: int = 0

    def to_json(self) -> JsonObject:
        """Return the row with all its fields; sums that lack something are `None`."""
        return {
            "tool": self.tool,
            "agent": self.agent,
            "calls": self.calls,
            "executed": self.executed,
            "hits": {tier: self.kept[tier] for tier in (*TIERS, "unknown")},
            "shared": self.shared,
            "errors": {outcome: self.failed[outcome] for outcome in FAILED},
            "result_bytes": self.result_bytes.value,
            "identical_tokens": self.identical_tokens.value,
            "saved_s": self.saved_s.value,
            "repeated": self.repeated,
            "duration_s": None if self.durations is None else self.durations.to_json(),
            "unknown_calls": self.unknown_calls,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSummary:
    """Rows sorted by tool and agent, their total, and what belongs to no row. `total` includes `unattributed`."""

    rows: tuple[ToolRow, ...]
    total: ToolRow
    unattributed: ToolRow

    def to_json(self) -> JsonObject:
        """Return `rows`, `total` and `unattributed`, each row as `ToolRow.to_json` has it."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "total": self.total.to_json(),
            "unattributed": self.unattributed.to_json(),
        }


def summarise_tools(tool_calls: Iterable[ToolCallRecord | ToolResult]) -> ToolSummary:
    """Return the summary of tool calls, per tool and agent."""
    calls = sorted(tool_calls, key=lambda call: (call.started_at, call.tool_call_id))
    repeated = _repeated(calls)
    groups: dict[_Key, list[ToolCallRecord | ToolResult]] = defaultdict(list)
    for call in calls:
        if call.agent is not None:
            groups[call.tool, call.agent].append(call)
    return ToolSummary(
        rows=tuple(_row(groups[key], repeated, *key) for key in sorted(groups)),
        total=_row(calls, repeated),
        unattributed=_row([call for call in calls if call.agent is None], repeated),
    )


def _row(
    calls: Sequence[ToolCallRecord | ToolResult],
    repeated: frozenset[str],
    tool: str | None = None,
    agent: str | None = None,
) -> ToolRow:
    executed = [call for call in calls if not call.memo_hit and call.outcome in _RAN]
    hits = [call for call in calls if call.memo_hit]
    return ToolRow(
        tool=tool,
        agent=agent,
        calls=len(calls),
        executed=len(executed),
        kept=Counter(call.memo_tier or "unknown" for call in hits if call.memo_tier != "shared"),
        shared=sum(call.memo_tier == "shared" for call in hits),
        failed=Counter(call.outcome for call in calls if call.outcome != "ok"),
        result_bytes=_sum(call.result_bytes for call in calls),
        identical_tokens=_sum(call.result_tokens for call in hits),
        saved_s=_sum(call.memo_saved_s for call in hits),
        repeated=sum(call.tool_call_id in repeated for call in executed),
        durations=_durations([call.ended_at - call.started_at for call in executed]),
        unknown_calls=sum(call.memo_tier is None for call in calls),
    )


def _repeated(calls: Sequence[ToolCallRecord | ToolResult]) -> frozenset[str]:
    """Return the ids of calls that ended well with a result that an earlier one of the tool had."""
    seen: set[tuple[str, str]] = set()
    found = []
    for call in calls:
        if call.outcome != "ok" or call.result_digest is None:
            continue
        result = (call.tool, call.result_digest)
        if result in seen:
            found.append(call.tool_call_id)
        seen.add(result)
    return frozenset(found)


def _sum(values: Iterable[float | None]) -> PartialSum:
    told = list(values)
    known = [value for value in told if value is not None]
    return PartialSum(known=sum(known), lacking=len(told) - len(known))


def _durations(seconds: Sequence[float]) -> Durations | None:
    if not seconds:
        return None
    ranked = sorted(max(value, 0.0) for value in seconds)  # a clock may be set back
    return Durations(
        mean_s=fsum(ranked) / len(ranked), median_s=median(ranked), p95_s=ranked[ceil(0.95 * len(ranked)) - 1]
    )
