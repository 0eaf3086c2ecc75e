"""The one writer of a ledger in a database: what is handed in while a transaction commits goes into the next one.

So a fan-out of calls costs a few commits and not one each. A short write that comes alone is made where it is handed
in: that takes a file less time than waking another thread does. A write belongs to the writer from the moment it is
handed in: neither cancelling whoever waits for it nor closing the ledger loses it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, Insert
from sqlalchemy.exc import SQLAlchemyError

from agentcache.errors import StoreError
from agentcache.stores import seals
from agentcache.stores.database_errors import NotNow, is_fault_of_a_row, told
from agentcache.stores.databases import Database
from agentcache.stores.prepared import execute
from agentcache.stores.rows import Row
from agentcache.stores.upserts import upserts

_SHORT_BATCH = 64
"""Short writes that are still made where they are, together: about a millisecond."""

_SEAL_EVERY_S = 3600.0
"""How often a ledger that is written to seals by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One thing to write: a row to insert, or a change that returns a number of its own meaning.

    short: whether it takes no longer than a row without texts.
    """

    insert: Insert | None = None
    row: Row | None = None
    change: Callable[[Connection], int] | None = None
    short: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    write: Write
    done: asyncio.Future[int]


class BatchedWriter:
    """Writes into one database, in the order in which things are handed in; `where` is its name in errors."""

    def __init__(self, database: Database, *, where: str) -> None:
        self._database, self._where = database, where
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._ahead: asyncio.Task[object] | None = None
        """Who has written since the loop last turned. What others hand in meanwhile came together with it."""
        self._seal_at = time.time() + _SEAL_EVERY_S
        self._abandoned: set[asyncio.Future[int]] = set()
        """Writes whose waiter was cancelled, until they succeed; those that fail are told of when the ledger closes."""

    async def written(self, write: Write) -> int:
        """Return what a write returns once it is committed: 1 for a row. Raises `StoreError` when it cannot be."""
        if write.short and self._comes_alone():
            with suppress(NotNow):  # whoever writes there is waited for below
                return self._written_now(write)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(write, done))
        if self._task is None:
            self._task = asyncio.ensure_future(self._write_all())
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            self._abandoned.add(done)
            done.add_done_callback(self._forget_written)
            raise

    async def close(self) -> None:
        """Write what is still waiting. What then failed unheard is told by `tell_failures`."""
        if self._task is not None:
            await self._task

    def tell_failures(self) -> None:
        """Raise the `StoreError` of a write that failed after whoever waited for it had been cancelled."""
        for done in self._abandoned:
            done.result()

    def _comes_alone(self) -> bool:
        idle = self._task is None and time.time() < self._seal_at
        return idle and (self._ahead is None or self._ahead is asyncio.current_task())

    def _written_now(self, write: Write) -> int:
        if self._ahead is None:
            self._ahead = asyncio.current_task()
            asyncio.get_running_loop().call_soon(self._loop_turned)
        with told("write", where=self._where):
            [result] = self._database.write_now(lambda connection: _apply(connection, [write]))
        return result

    def _loop_turned(self) -> None:
        self._ahead = None

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
                unwritten, self._waiting, self._task = [*batch, *self._waiting], [], None
                _fail(unwritten, StoreError(f"{self._where}: the writer of the ledger ended: {error!r}"))
                raise
        self._task = None

    async def _seal_some(self) -> None:
        """Seal the hours that have become old enough, so that reports on the ledger of a long service stay quick."""
        now = time.time()
        self._seal_at = now + _SEAL_EVERY_S
        with suppress(SQLAlchemyError, OSError):  # rows do not fail for it, and the next report tells what is wrong
            await self._database.write(lambda connection: seals.seal_next(connection, now=now))

    async def _applied(self, writes: Sequence[Write]) -> list[int]:
        if _is_short(writes):
            with suppress(NotNow):
                return self._database.write_now(lambda connection: _apply(connection, writes))
        return await self._database.write(lambda connection: _apply(connection, writes))

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Write a batch in one transaction. Where one row is at fault, the others are written without it."""
        writes = [waiting.write for waiting in batch]
        try:
            with told("write", where=self._where):
                results = await self._applied(writes)
        except StoreError as error:
            if len(batch) == 1 or not is_fault_of_a_row(error.__cause__):
                _fail(batch, error)
                return
            for waiting in batch:
                await self._commit([waiting])
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(result)


def _is_short(batch: Sequence[Write]) -> bool:
    return len(batch) <= _SHORT_BATCH and all(write.short for write in batch)


def _apply(connection: Connection, batch: Sequence[Write]) -> list[int]:
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


def _fail(batch: Sequence[_Waiting], error: StoreError) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)
