"""The ledger in SQLite or PostgreSQL, through one batched writer.

Rows that are handed in while a transaction commits wait together and go into the next one, so that a fan-out of calls
costs a few commits and not one each. A row belongs to the writer from the moment it is handed in: cancelling whoever
waits for it, or closing the ledger, does not lose it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TypeVar

from sqlalchemy import URL, Connection, Executable, Insert, RowMapping, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord
from agentcache.errors import SchemaTooNew, StoreError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.provenance import Provenance
from agentcache.stores import rows, schema, seals, sql_conversations, sql_explaining, sql_provenance, sql_upkeep
from agentcache.stores.databases import Database, database_at, is_fault_of_a_row, store_error
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

_SEAL_EVERY_S = 3600.0
"""How often a ledger that is written to seals by itself."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """One thing to write: a row to insert, or a change that returns a number of its own meaning."""

    insert: Insert | None = None
    row: rows.Row | None = None
    change: Callable[[Connection], int] | None = None
    done: asyncio.Future[int]


class SqlLedger(SqlSums):
    """A `Ledger` in a database. It belongs to the event loop that opened it."""

    def __init__(self, database: Database, *, where: str) -> None:
        self._database, self._where = database, where
        self._waiting: list[_Write] = []
        self._writer: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._seal_at = time.time() + _SEAL_EVERY_S
        self._abandoned: set[asyncio.Future[int]] = set()
        """Writes whose waiter was cancelled, until they succeed; those that fail are told of when the ledger closes."""

    async def prepare(self) -> None:
        """Bring the database to today's schema, one transaction a step."""
        with self._told("open the ledger"):
            while not await self._database.read(is_current):
                await self._database.write(lambda connection: apply_next(connection, now=time.time()))

    async def start_run(self, run: RunRecord) -> None:
        """Add a run."""
        await self._insert(_ADD_RUN, rows.run_row(run))

    async def finish_run(self, run_id: str, *, ended_at: float, status: RunStatus, error: str | None = None) -> None:
        """Tell how a run ended."""
        values = {"of_run": run_id, "ended_at": ended_at, "status": status.value, "error": error}
        changed = await self._change(lambda connection: execute(connection, _FINISH_RUN, [values]))
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
        with self._told("make the database smaller"):
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
        with self._told("sum up"):
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
        if self._writer is not None:
            await self._writer
        await self._database.close()
        for done in self._abandoned:
            done.result()

    async def _insert(self, insert: Insert, row: rows.Row) -> None:
        await self._written(_Write(insert=insert, row=row, done=self._future()))

    async def _change(self, change: Callable[[Connection], int]) -> int:
        return await self._written(_Write(change=change, done=self._future()))

    def _future(self) -> asyncio.Future[int]:
        return asyncio.get_running_loop().create_future()

    async def _written(self, write: _Write) -> int:
        """Hand a write in and wait until it is committed; the writer runs while there is something to write."""
        self._check_open()
        self._waiting.append(write)
        if self._writer is None:
            self._writer = asyncio.ensure_future(self._write_all())
        try:
            return await asyncio.shield(write.done)
        except asyncio.CancelledError:
            self._abandoned.add(write.done)
            write.done.add_done_callback(self._forget_written)
            raise

    def _forget_written(self, done: asyncio.Future[int]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._abandoned.discard(done)

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._commit(batch)
                if time.time() >= self._seal_at:
                    await self._seal_some()
            except BaseException as error:
                # Nobody may wait for ever: whatever ended the writer ends everybody who waits for it.
                unwritten, self._waiting, self._writer = [*batch, *self._waiting], [], None
                _fail(unwritten, StoreError(f"{self._where}: the writer of the ledger ended: {error!r}"))
                raise
        self._writer = None

    async def _seal_some(self) -> None:
        """Seal the hours that have become old enough, so that reports on the ledger of a long service stay quick."""
        now = time.time()
        self._seal_at = now + _SEAL_EVERY_S
        with suppress(SQLAlchemyError, OSError):  # rows do not fail for it, and the next report tells what is wrong
            await self._database.write(lambda connection: seals.seal_next(connection, now=now))

    async def _commit(self, batch: Sequence[_Write]) -> None:
        """Write a batch in one transaction. Where one row is at fault, the others are written without it."""
        try:
            with self._told("write"):
                results = await self._database.write(lambda connection: _apply(connection, batch))
        except StoreError as error:
            if len(batch) == 1 or not is_fault_of_a_row(error.__cause__):
                _fail(batch, error)
                return
            for write in batch:
                await self._commit([write])
        else:
            for write, result in zip(batch, results, strict=True):
                if not write.done.done():
                    write.done.set_result(result)

    async def _read(self, statement: Executable) -> Sequence[RowMapping]:
        return await self._look(lambda connection: connection.execute(statement).mappings().all())

    async def _look(self, work: Callable[[Connection], _T]) -> _T:
        self._check_open()
        with self._told("read"):
            return await self._database.read(work)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what a database raises into a `StoreError`."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise store_error(error, where=self._where, doing=doing) from error

    def _check_open(self) -> None:
        if self._closing is not None:
            raise StoreError(f"{self._where}: this ledger is closed; open it again to use it")


def _apply(connection: Connection, batch: Sequence[_Write]) -> list[int]:
    """Do every write of a batch in order, neighbours that go into one table together."""
    written = [(write.insert.table.name, write.row) for write in batch if write.insert is not None and write.row]
    put = upserts(connection.dialect.name).put_call
    replaced = [write.row["call_id"] for write in batch if write.insert is put and write.row]
    seals.unseal(connection, seals.oldest_of(connection, written, replaced), now=time.time())
    results: list[int] = []
    for _, neighbours in groupby(batch, key=lambda write: id(write.insert)):
        writes = list(neighbours)
        insert = writes[0].insert
        if insert is not None:
            execute(connection, insert, [write.row for write in writes if write.row is not None])
            results.extend(1 for _ in writes)
        else:
            results.extend(write.change(connection) for write in writes if write.change is not None)
    return results


def _fail(writes: Sequence[_Write], error: StoreError) -> None:
    for write in writes:
        if not write.done.done():
            write.done.set_exception(error)
