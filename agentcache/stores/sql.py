"""The ledger in SQLite or PostgreSQL, written by one batched writer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sqlalchemy import URL, Connection, Executable, Insert, RowMapping, bindparam, select, update

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord
from agentcache.errors import SchemaTooNew, StoreError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.provenance import Provenance
from agentcache.stores import rows, schema, seals, sql_conversations, sql_explaining, sql_provenance, sql_upkeep
from agentcache.stores.batched_writer import BatchedWriter, Write
from agentcache.stores.database_errors import store_error, told
from agentcache.stores.databases import Database, database_at
from agentcache.stores.finishing import finished
from agentcache.stores.migrations import apply_next, is_current
from agentcache.stores.prepared import execute
from agentcache.stores.protocols import (
    ConversationRecord,
    EarlierHistory,
    LedgerRow,
    PrunedRuns,
    StoredConversation,
    stale_version,
)
from agentcache.stores.sql_selection import WITHOUT_TEXT, conditions
from agentcache.stores.sql_sums import SqlSums
from agentcache.stores.upserts import upserts

_T = TypeVar("_T")

_ADD_RUN = schema.runs.insert()
_ADD_CALL = schema.calls.insert()
_ADD_TOOL_CALL = schema.tool_calls.insert()
_FINISH_RUN = (
    update(schema.runs)
    .where(schema.runs.c.run_id == bindparam("of_run"))
    .values({name: bindparam(name) for name in ("ended_at", "status", "error")})
)

_ROWS_AT_ONCE = 1000
"""Rows that a visit fetches at a time."""


async def open_sql_ledger(url: URL, *, where: str) -> SqlLedger:
    """Open the database of a normal URL and bring it to today's schema; `where` is its name in errors.

    Raises `StoreError` when it cannot be opened or is no ledger, `SchemaTooNew` when a newer agentcache wrote it.
    """
    ledger = SqlLedger(database_at(url), where=where)
    try:
        await ledger.prepare()
    except (TypeError, ValueError) as error:  # the drivers' answer to options of the URL that they do not know
        await ledger.close()
        raise store_error(error, where=where, doing="open the ledger") from error
    except SchemaTooNew as error:
        await ledger.close()
        raise SchemaTooNew(f"{where}: {error}") from error
    except BaseException:
        await ledger.close()
        raise
    return ledger


class SqlLedger(SqlSums):
    """A `Ledger` in a database. It belongs to the event loop that opened it."""

    def __init__(self, database: Database, *, where: str) -> None:
        self._database, self._where = database, where
        self._writer = BatchedWriter(database, where=where)
        self._closing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Bring the database to today's schema, a step a transaction; a new one at once."""
        with told("open the ledger", where=self._where):
            while not await self._database.read(is_current):
                await self._database.write(lambda connection: apply_next(connection, now=time.time()))

    async def start_run(self, run: RunRecord) -> None:
        """Add a run."""
        await self._insert(_ADD_RUN, rows.run_row(run))

    async def finish_run(self, run_id: str, *, ended_at: float, status: RunStatus, error: str | None = None) -> None:
        """Tell how a run ended."""
        values = {"of_run": run_id, "ended_at": ended_at, "status": status.value, "error": error}
        changed = await self._change(lambda connection: execute(connection, _FINISH_RUN, [values]), short=True)
        if not changed:
            raise StoreError(f"{self._where}: the ledger has no run {run_id!r} (to finish it); start_run comes first")

    async def add_call(self, call: CallRecord) -> None:
        """Add a call."""
        await self._insert(_ADD_CALL, rows.call_row(call))

    async def add_tool_call(self, tool_call: ToolCallRecord) -> None:
        """Add a tool call."""
        await self._insert(_ADD_TOOL_CALL, rows.tool_call_row(tool_call))

    async def reopen_run(self, run: RunRecord) -> None:
        """Add a run, or mark the one of its id as running again."""
        await self._insert(upserts(self._database.dialect).reopen_run, rows.run_row(run))

    async def put_call(self, call: CallRecord) -> None:
        """Add a call, or put it in place of the one of its id."""
        await self._insert(upserts(self._database.dialect).put_call, rows.call_row(call))

    async def ensure_tool_call(self, tool_call: ToolCallRecord) -> None:
        """Add a tool call unless one of its id is there."""
        await self._insert(upserts(self._database.dialect).ensure_tool_call, rows.tool_call_row(tool_call))

    async def reprice_calls(self, calls: Sequence[CallRecord]) -> int:
        """Write the dollars of these calls into their rows."""
        return await self._change(lambda connection: sql_upkeep.reprice(connection, calls, now=time.time()))

    async def prune_runs(self, *, before: float, dry_run: bool = False) -> PrunedRuns:
        """Remove every top-level run that ended before, with all that is nested in it and its rows."""
        if dry_run:
            return await self._look(lambda connection: sql_upkeep.prunable(connection, before))
        pruned: list[PrunedRuns] = []

        def prune(connection: Connection) -> int:
            pruned.append(sql_upkeep.prune_runs(connection, before, now=time.time()))
            return pruned[-1].runs

        await self._change(prune)
        return pruned[-1]

    async def keep_provenance(self, sections: Sequence[Provenance], *, used_at: float) -> None:
        """Keep what sections are made of, and note when they were sent."""
        await self._change(lambda connection: sql_provenance.keep(connection, sections, used_at))

    async def provenance(self, digests: Collection[str]) -> dict[str, Provenance]:
        """Return what sections are made of, by digest."""
        return await self._look(lambda connection: sql_provenance.kept(connection, digests))

    async def compact(self) -> None:
        """Give the room of removed rows back."""
        self._check_open()
        with told("make the database smaller", where=self._where):
            await self._database.compact()

    async def runs(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[RunRecord]:
        """Return runs by their start."""
        column = schema.runs.c
        chosen = conditions(column.started_at, column.run_id, column.agent, run_id=run_id, since=since, agent=agent)
        found = await self._read(select(schema.runs).where(*chosen).order_by(column.started_at, column.run_id))
        return [rows.run_of(row) for row in found]

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
        column = schema.calls.c
        chosen = conditions(column.sent_at, column.run_id, column.agent, run_id=run_id, since=since, agent=agent)
        columns = schema.calls.columns if text else WITHOUT_TEXT
        asked = select(*columns).where(*chosen).order_by(column.sent_at, column.call_id)
        if newest is not None:
            last = select(column.call_id).where(*chosen).order_by(column.sent_at.desc(), column.call_id.desc())
            asked = asked.where(column.call_id.in_(last.limit(newest)))
        # Row by row, where the cursor is: a million rows are not held twice, and the event loop does not wait.
        return await self._look(lambda connection: [rows.call_of(row) for row in connection.execute(asked).mappings()])

    async def calls_to_explain(
        self, *, run_id: str | None = None, call_id: str | None = None, before_s: float
    ) -> list[CallRecord]:
        """Return the calls of a run, or one call, with those that may tell why they missed."""
        return await self._look(lambda at: sql_explaining.calls_to_explain(at, run_id, call_id, before_s))

    async def requests(self, call_ids: Collection[str]) -> dict[str, JsonObject]:
        """Return the requests that were kept, by call."""
        return await self._look(lambda connection: sql_explaining.requests(connection, call_ids))

    async def tool_calls(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[ToolCallRecord]:
        """Return tool calls by their start."""
        column = schema.tool_calls.c
        chosen = conditions(column.started_at, column.run_id, column.agent, run_id=run_id, since=since, agent=agent)
        found = await self._read(
            select(schema.tool_calls).where(*chosen).order_by(column.started_at, column.tool_call_id)
        )
        return [rows.tool_call_of(row) for row in found]

    async def seal(self, *, now: float) -> bool:
        """Sum up what is old enough, for good, a share a transaction."""
        self._check_open()
        with told("sum up", where=self._where):
            return await seals.seal_all(self._database, now=now)

    async def visit(
        self, take: Callable[[LedgerRow], None], *, run_id: str | None = None, since: float | None = None
    ) -> None:
        """Hand every row to `take`, in the reader's own thread or task."""
        run, call, tool_call = schema.runs.c, schema.calls.c, schema.tool_calls.c
        chosen = partial(conditions, run_id=run_id, since=since, agent=None)
        runs = select(schema.runs).where(*chosen(run.started_at, run.run_id, run.agent))
        calls = select(schema.calls).where(*chosen(call.sent_at, call.run_id, call.agent))
        tools = select(schema.tool_calls).where(*chosen(tool_call.started_at, tool_call.run_id, tool_call.agent))

        def each(connection: Connection) -> None:
            streamed = connection.execution_options(yield_per=_ROWS_AT_ONCE)
            for found in streamed.execute(runs.order_by(run.started_at, run.run_id)).mappings():
                take(rows.run_of(found))
            for found in streamed.execute(calls.order_by(call.sent_at, call.call_id)).mappings():
                take(rows.call_of(found))
            for found in streamed.execute(tools.order_by(tool_call.started_at, tool_call.tool_call_id)).mappings():
                take(rows.tool_call_of(found))

        await self._look(each)

    async def load_conversation(self, conversation_id: str, *, head: str | None = None) -> StoredConversation | None:
        """Return a conversation, or `None`."""
        return await self._look(lambda connection: sql_conversations.load(connection, conversation_id, head))

    async def save_conversation(self, conversation: StoredConversation) -> StoredConversation:
        """Keep the conversation and return it with its new version."""
        version = await self._change(lambda connection: sql_conversations.save(connection, conversation))
        if not version:
            raise stale_version(conversation)
        return replace(conversation, version=version)

    async def conversations(self, *, conversation_id: str | None = None) -> list[ConversationRecord]:
        """Return conversations by their id."""
        return await self._look(lambda connection: sql_conversations.listed(connection, conversation_id))

    async def earlier_histories(self, conversation_id: str) -> list[EarlierHistory]:
        """Return what the conversation was before it was rewritten."""
        return await self._look(lambda connection: sql_conversations.earlier(connection, conversation_id))

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation."""
        return bool(await self._change(lambda connection: sql_conversations.delete(connection, conversation_id)))

    async def prune_messages(self, *, earlier: bool = False) -> int:
        """Remove every message that no conversation needs."""
        return await self._change(lambda connection: sql_conversations.prune(connection, earlier=earlier))

    async def close(self) -> None:
        """Write what is still waiting and let go of the database.

        Raises the `StoreError` of a write that failed after whoever waited for it had been cancelled.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await finished(self._closing)

    async def _close(self) -> None:
        await self._writer.close()
        await self._database.close()
        self._writer.tell_failures()

    async def _insert(self, insert: Insert, row: rows.Row) -> None:
        self._check_open()
        await self._writer.written(Write(insert=insert, row=row, short=row.get("request") is None))

    async def _change(self, change: Callable[[Connection], int], *, short: bool = False) -> int:
        self._check_open()
        return await self._writer.written(Write(change=change, short=short))

    async def _read(self, statement: Executable) -> Sequence[RowMapping]:
        return await self._look(lambda connection: connection.execute(statement).mappings().all())

    async def _look(self, work: Callable[[Connection], _T]) -> _T:
        self._check_open()
        with told("read", where=self._where):
            return await self._database.read(work)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise StoreError(f"{self._where}: this ledger is closed; open it again to use it")
