"""A ledger summed up while it is read: calls go in, in the order of time, and sums come out that can be added up.

Reading a stretch of the ledger leaves sums by hour, run, agent and model, and what its calls wrote (`Writes`). Both can
be kept as JSON and gone on with, so that a stretch is read once. What a summary is made of (`Rollup`) is the sums of
all stretches added up, whatever the points at which they were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agentcache.accounting.billed_calls import AskedToolCall, BilledCall, billed_call
from agentcache.accounting.call_sums import (
    HOUR_S,
    CallKey,
    CallSums,
    CallTable,
    ToolTable,
    take_call,
    take_tool_call,
)
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.usage import CallRecord, ToolCallRecord
from agentcache.accounting.wasted_writes import Writes, WrittenRange


@dataclass(slots=True)
class Rollup:
    """Sums that a summary is made of. Only what counts is in them."""

    calls: CallTable = field(default_factory=dict)
    tools: ToolTable = field(default_factory=dict)

    def waste(self, written: Iterable[WrittenRange], only: Selection) -> None:
        """Add what ranges wasted to the sums of the calls that wrote them, of those that count."""
        for item in written:
            if item.wasted_tokens and only.has(item.agent, item.model, item.sent_at):
                key = CallKey(int(item.sent_at // HOUR_S), item.run_id, item.agent, item.model, True)
                self.waste_tokens(key, item.wasted_tokens)

    def waste_tokens(self, key: CallKey, tokens: int) -> None:
        """Add wasted tokens to the sum of a key."""
        sums = self.calls.get(key)
        if sums is None:
            sums = self.calls[key] = CallSums()
        sums.wasted_tokens += tokens


def take_calls(rollup: Rollup, calls: Iterable[BilledCall], writes: Writes | None, only: Selection) -> None:
    """Take calls in the order of `(sent_at, call_id)`: add those that count, and let `writes` see all of them.

    writes: `None` where what they wrote and read is known already.
    """
    table, everything = rollup.calls, only == EVERYTHING
    for call in calls:
        if everything or only.has(call.agent, call.model, call.sent_at):
            take_call(table, call)
        if writes is not None:
            writes.take(call)


def take_tools(rollup: Rollup, tool_calls: Iterable[AskedToolCall], only: Selection) -> None:
    """Add those tool calls that count."""
    table, everything = rollup.tools, only == EVERYTHING
    for call in tool_calls:
        model = call.asked_model if call.is_known else None
        if everything or only.has(call.agent, model, call.started_at):
            take_tool_call(table, call)


def rollup_of(
    calls: Iterable[CallRecord], tool_calls: Iterable[ToolCallRecord] = (), *, only: Selection = EVERYTHING
) -> Rollup:
    """Return the sums of records, which come in any order. All `calls` tell what was read, whatever counts."""
    known = {call.call_id: call for call in calls}
    rollup, writes = Rollup(), Writes()
    ordered = sorted(map(billed_call, known.values()), key=lambda call: (call.sent_at, call.call_id))
    take_calls(rollup, ordered, writes, only)
    take_tools(rollup, (_asked(tool_call, known) for tool_call in tool_calls), only)
    rollup.waste((*writes.closed(), *writes.open()), only)
    return rollup


def _asked(tool_call: ToolCallRecord, known: Mapping[str, CallRecord]) -> AskedToolCall:
    asked = known.get(tool_call.call_id)
    return AskedToolCall(
        started_at=tool_call.started_at,
        run_id=tool_call.run_id if asked is None else asked.run_id,
        agent=tool_call.agent,
        memo_hit=tool_call.memo_hit,
        is_known=asked is not None,
        is_billed=asked is not None and asked.usage is not None,
        asked_by=None if asked is None else asked.agent,
        asked_model="" if asked is None else asked.model,
    )
