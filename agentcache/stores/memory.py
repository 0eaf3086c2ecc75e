"""The ledger in memory: gone with the process. For tests, and for runs that shall leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from agentcache.accounting.billed_calls import SentCall, sent_call
from agentcache.accounting.call_gaps import GapCount, gap_histogram
from agentcache.accounting.rollup import Rollup, rollup_of
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.tool_summary import ToolResult, tool_result
from agentcache.accounting.usage import SIDE_KINDS, CallRecord, RunRecord, RunStatus, ToolCallRecord
from agentcache.errors import StoreError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.provenance import Provenance
from agentcache.stores.memory_conversations import MemoryConversations
from agentcache.stores.protocols import (
    PROVENANCE_NOTED_S,
    ConversationRecord,
    EarlierHistory,
    LedgerRow,
    PrunedRuns,
    StoredConversation,
)

_Row = TypeVar("_Row", RunRecord, CallRecord, ToolCallRecord)


class MemoryLedger:
    """A `Ledger` that lives in dictionaries."""

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._calls: dict[str, CallRecord] = {}
        self._tool_calls: dict[str, ToolCallRecord] = {}
        self._provenance: dict[str, tuple[float, Provenance]] = {}
        self._conversations = MemoryConversations()
        self._closed = False

    async def start_run(self, run: RunRecord) -> None:
        """Add a run."""
        self._check_open()
        if run.parent_run_id is not None:
            self._check_run(run.parent_run_id, f"parent of run {run.run_id!r}")
        _add(self._runs, run.run_id, run, "run")

    async def finish_run(self, run_id: str, *, ended_at: float, status: RunStatus, error: str | None = None) -> None:
        """Tell how a run ended."""
        self._check_open()
        self._check_run(run_id, "to finish it")
        self._runs[run_id] = replace(self._runs[run_id], ended_at=ended_at, status=status, error=error)

    async def add_call(self, call: CallRecord) -> None:
        """Add a call."""
        self._check_open()
        self._check_run(call.run_id, f"run of call {call.call_id!r}")
        _add(self._calls, call.call_id, call, "call")

    async def add_tool_call(self, tool_call: ToolCallRecord) -> None:
        """Add a tool call."""
        self._check_open()
        self._check_run(tool_call.run_id, f"run of tool call {tool_call.tool_call_id!r}")
        _add(self._tool_calls, tool_call.tool_call_id, tool_call, "tool call")

    async def reopen_run(self, run: RunRecord) -> None:
        """Add a run, or mark the one of its id as running again."""
        there = self._runs.get(run.run_id)
        if there is None:
            await self.start_run(run)
            return
        self._check_open()
        self._runs[run.run_id] = replace(there, ended_at=None, status=RunStatus.RUNNING, error=None)

    async def put_call(self, call: CallRecord) -> None:
        """Add a call, or put it in place of the one of its id."""
        self._check_open()
        self._check_run(call.run_id, f"run of call {call.call_id!r}")
        self._calls[call.call_id] = call

    async def ensure_tool_call(self, tool_call: ToolCallRecord) -> None:
        """Add a tool call unless one of its id is there."""
        self._check_open()
        self._check_run(tool_call.run_id, f"run of tool call {tool_call.tool_call_id!r}")
        self._tool_calls.setdefault(tool_call.tool_call_id, tool_call)

    async def reprice_calls(self, calls: Sequence[CallRecord]) -> int:
        """Write the dollars of these calls into their rows."""
        self._check_open()
        changed = 0
        for call in calls:
            there = self._calls.get(call.call_id)
            if there is not None and _billed(there) == _billed(call):
                self._calls[call.call_id] = there.with_costs(call.cost_usd, call.counterfactual_usd)
                changed += 1
        return changed

    async def prune_runs(self, *, before: float, dry_run: bool = False) -> PrunedRuns:
        """Remove every top-level run that ended before, with all that is nested in it and its rows."""
        self._check_open()
        gone: set[str] = set()
        for run in self._runs.values():
            if run.parent_run_id is None:
                tree = self._with_nested(run.run_id)
                ends = [self._runs[run_id].ended_at for run_id in tree]
                if all(ended_at is not None and ended_at < before for ended_at in ends):
                    gone |= tree
        calls = [call.call_id for call in self._calls.values() if call.run_id in gone]
        tool_calls = [call.tool_call_id for call in self._tool_calls.values() if call.run_id in gone]
        if not dry_run:
            for rows, ids in ((self._runs, gone), (self._calls, calls), (self._tool_calls, tool_calls)):
                for row_id in ids:
                    del rows[row_id]
            self._prune_provenance(before)
        return PrunedRuns(runs=len(gone), calls=len(calls), tool_calls=len(tool_calls))

    def _prune_provenance(self, before: float) -> None:
        kept_from = min([before, *(call.sent_at for call in self._calls.values())]) - PROVENANCE_NOTED_S
        self._provenance = {key: kept for key, kept in self._provenance.items() if kept[0] >= kept_from}

    async def keep_provenance(self, sections: Sequence[Provenance], *, used_at: float) -> None:
        """Keep what sections are made of, and note when they were sent."""
        self._check_open()
        self._provenance |= {section.digest: (used_at, section) for section in sections}

    async def provenance(self, digests: Collection[str]) -> dict[str, Provenance]:
        """Return what sections are made of, by digest."""
        self._check_open()
        return {digest: self._provenance[digest][1] for digest in digests if digest in self._provenance}

    async def calls_to_explain(
        self, *, run_id: str | None = None, call_id: str | None = None, before_s: float
    ) -> list[CallRecord]:
        """Return the calls of a run, or one call, with those that may tell why they missed."""
        own = [call for call in await self.calls(run_id=run_id, text=False) if call_id in (None, call.call_id)]
        return _explaining(own, await self.calls(text=False), before_s=before_s)

    async def requests(self, call_ids: Collection[str]) -> dict[str, JsonObject]:
        """Return the requests that were kept, by call."""
        self._check_open()
        found = {call_id: self._calls[call_id].request for call_id in call_ids if call_id in self._calls}
        return {call_id: request for call_id, request in found.items() if request is not None}

    async def seal(self, *, now: float) -> bool:
        """Do nothing: what is gone with the process is summed up when asked for."""
        self._check_open()
        return True

    async def compact(self) -> None:
        """Do nothing: what is removed from a dictionary takes no room."""
        self._check_open()

    async def runs(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[RunRecord]:
        """Return runs by their start."""
        rows = self._chosen(self._runs.values(), lambda run: run.started_at, run_id, since, agent)
        return sorted(rows, key=lambda run: (run.started_at, run.run_id))

    async def calls(
        self,
        *,
        run_id: str | None = None,
        since: float | None = None,
        agent: str | None = None,
        text: bool = True,
        newest: int | None = None,
    ) -> list[CallRecord]:
        """Return calls by the time they were sent."""
        rows = self._chosen(self._calls.values(), lambda call: call.sent_at, run_id, since, agent)
        if not text:
            rows = [replace(call, request=None, response=None) for call in rows]
        ordered = sorted(rows, key=lambda call: (call.sent_at, call.call_id))
        return ordered if newest is None else ordered[max(0, len(ordered) - newest) :]

    async def tool_calls(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[ToolCallRecord]:
        """Return tool calls by their start."""
        rows = self._chosen(self._tool_calls.values(), lambda call: call.started_at, run_id, since, agent)
        return sorted(rows, key=lambda call: (call.started_at, call.tool_call_id))

    async def rollup(self, *, only: Selection = EVERYTHING, by_run: bool = False) -> Rollup:
        """Return the sums of what counts."""
        self._check_open()
        return rollup_of(self._calls.values(), self._tool_calls.values(), only=only)

    async def sent_calls(self, *, since: float | None = None, until: float | None = None) -> list[SentCall]:
        """Return when calls were sent."""
        only = Selection(since=since, until=until)
        return [sent_call(call) for call in await self.calls() if only.has_call(call)]

    async def sent_span(self, *, only: Selection = EVERYTHING) -> tuple[float, float] | None:
        """Return when the first and the last call were sent."""
        times = [call.sent_at for call in await self.calls() if only.has_call(call)]
        return (times[0], times[-1]) if times else None

    async def pauses(self, *, only: Selection = EVERYTHING) -> tuple[GapCount, ...]:
        """Return the gaps between calls."""
        return gap_histogram(call for call in await self.calls() if only.has_call(call))

    async def tool_results(self, *, only: Selection = EVERYTHING) -> list[ToolResult]:
        """Return the tool calls that count."""
        return [tool_result(call) for call in await self.tool_calls() if only.has_tool_call(call, self._calls)]

    async def visit(
        self, take: Callable[[LedgerRow], None], *, run_id: str | None = None, since: float | None = None
    ) -> None:
        """Hand every row to `take`."""
        chosen: tuple[Sequence[LedgerRow], ...] = (
            await self.runs(run_id=run_id, since=since),
            await self.calls(run_id=run_id, since=since),
            await self.tool_calls(run_id=run_id, since=since),
        )
        for row in chain.from_iterable(chosen):
            take(row)

    async def load_conversation(self, conversation_id: str, *, head: str | None = None) -> StoredConversation | None:
        """Return a conversation, or `None`."""
        self._check_open()
        return await self._conversations.load_conversation(conversation_id, head=head)

    async def save_conversation(self, conversation: StoredConversation) -> StoredConversation:
        """Keep the conversation and return it with its new version."""
        self._check_open()
        return await self._conversations.save_conversation(conversation)

    async def conversations(self, *, conversation_id: str | None = None) -> list[ConversationRecord]:
        """Return conversations by their id."""
        self._check_open()
        return await self._conversations.conversations(conversation_id=conversation_id)

    async def earlier_histories(self, conversation_id: str) -> list[EarlierHistory]:
        """Return what the conversation was before it was rewritten."""
        self._check_open()
        return await self._conversations.earlier_histories(conversation_id)

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation."""
        self._check_open()
        return await self._conversations.delete_conversation(conversation_id)

    async def prune_messages(self, *, earlier: bool = False) -> int:
        """Remove every message that no conversation needs."""
        self._check_open()
        return await self._conversations.prune_messages(earlier=earlier)

    async def close(self) -> None:
        """Forget nothing, but refuse further use, as a database would."""
        self._closed = True

    def _chosen(
        self,
        rows: Iterable[_Row],
        began_at: Callable[[_Row], float],
        run_id: str | None,
        since: float | None,
        agent: str | None,
    ) -> list[_Row]:
        self._check_open()
        run_ids = None if run_id is None else self._with_nested(run_id)
        return [
            row
            for row in rows
            if (run_ids is None or row.run_id in run_ids)
            and (since is None or began_at(row) >= since)
            and (agent is None or row.agent == agent)
        ]

    def _with_nested(self, run_id: str) -> set[str]:
        """Return the ids of a run and of all runs below it; parents come before their children in the dictionary."""
        found = {run_id}
        for run in self._runs.values():
            if run.parent_run_id in found:
                found.add(run.run_id)
        return found

    def _check_run(self, run_id: str, purpose: str) -> None:
        if run_id not in self._runs:
            raise StoreError(f"the ledger has no run {run_id!r} ({purpose}); start_run comes first")

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this ledger is closed; open it again to use it")


def _explaining(own: Sequence[CallRecord], calls: Sequence[CallRecord], *, before_s: float) -> list[CallRecord]:
    """Return of `calls` those that `LedgerReader.calls_to_explain` speaks of; both are in the order of time."""
    if not own:
        return []
    models, first = {call.model for call in own}, own[0].sent_at - before_s
    same = [call for call in calls if call.model in models and call.sent_at <= own[-1].sent_at]
    earlier = [call for call in same if call.sent_at < first and call.usage is not None and call.kind not in SIDE_KINDS]
    last_of: dict[tuple[str | None, ...], CallRecord] = {}
    for call in earlier:
        last_of["conversation", call.conversation] = last_of["agent", call.agent, call.model] = call
    wanted = {("conversation", call.conversation) for call in own if call.conversation is not None}
    agents = {("agent", call.agent, call.model) for call in own if call.agent is not None}
    chosen = {last_of[key].call_id for key in (*wanted, *agents) if key in last_of}
    return [call for call in same if call.sent_at >= first or call.call_id in chosen]


def _billed(call: CallRecord) -> tuple[object, ...]:
    """Return what a call's price depends on."""
    return call.usage, call.model, call.sent_at, call.parts


def _add(rows: dict[str, _Row], row_id: str, row: _Row, kind: str) -> None:
    if row_id in rows:
        raise StoreError(f"the ledger has a {kind} {row_id!r} already; every {kind} needs an id of its own")
    rows[row_id] = row
