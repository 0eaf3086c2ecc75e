"""Kept results in a SQLite file that several processes of one machine may share.

Plain SQL through the driver that comes with Python, in one thread: a hit is one statement, and the layers that serve
the ledger well would cost several times as much as it. Everything but a hit is one transaction. Nothing is opened
before it is needed, and after an error the file is opened anew: a memo may come and go.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import ClassVar, TypeAlias, TypeVar

from pydantic import Json, TypeAdapter, ValidationError

from agentcache.errors import SettingsError, StoreError
from agentcache.prompt.canonical import canonical_json
from agentcache.stores.memo_entries import (
    EVERYTHING,
    TOTAL,
    CorruptEntry,
    Leases,
    MemoEntry,
    Selection,
    Tier,
    content_json,
    content_of_json,
)
from agentcache.stores.private_files import make_private

_T = TypeVar("_T")
_Values: TypeAlias = dict[str, str | int | float | None]

DEFAULT_MAX_BYTES = 1_000_000_000

_BUSY_S = 2.0
"""How long a statement waits for another process; a memo that makes calls wait longer is worse than none."""
_TOUCH_S = 60.0
"""How exact `used_at` is: a hit writes only if the last use was that long ago, in seconds."""
_PRUNE_S = 300.0
_FORMAT = 1

_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS memo_entries (
    key TEXT PRIMARY KEY, tenant TEXT NOT NULL, tool TEXT NOT NULL, version TEXT NOT NULL, arguments TEXT NOT NULL,
    content BLOB NOT NULL, size INTEGER NOT NULL, stored_at REAL NOT NULL, expires_at REAL, took_s REAL NOT NULL,
    used_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS memo_tags (
    key TEXT NOT NULL REFERENCES memo_entries (key) ON DELETE CASCADE, tag TEXT NOT NULL, PRIMARY KEY (tag, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS memo_tags_by_key ON memo_tags (key);
CREATE INDEX IF NOT EXISTS memo_entries_by_use ON memo_entries (used_at);
CREATE INDEX IF NOT EXISTS memo_entries_by_tool ON memo_entries (tenant, tool);
CREATE INDEX IF NOT EXISTS memo_entries_by_end ON memo_entries (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS memo_counters (slot INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS memo_size (bytes INTEGER NOT NULL);
INSERT INTO memo_size SELECT 0 WHERE NOT EXISTS (SELECT bytes FROM memo_size);
CREATE TRIGGER IF NOT EXISTS memo_grows AFTER INSERT ON memo_entries
    BEGIN UPDATE memo_size SET bytes = bytes + new.size; END;
CREATE TRIGGER IF NOT EXISTS memo_shrinks AFTER DELETE ON memo_entries
    BEGIN UPDATE memo_size SET bytes = bytes - old.size; END;
PRAGMA user_version = 1;
COMMIT;
"""

_ROW = "key, tenant, tool, version, arguments, content, size, stored_at, expires_at, took_s, used_at"
_TAGS = "(SELECT json_group_array(tag) FROM (SELECT tag FROM memo_tags t WHERE t.key = e.key ORDER BY tag))"
_GET = f"SELECT {_ROW}, {_TAGS} FROM memo_entries e"
_WHERE = """
WHERE (:tenant IS NULL OR tenant = :tenant) AND (:tool IS NULL OR tool = :tool)
  AND (:version IS NULL OR version = :version)
  AND (:tags IS NULL OR key IN (SELECT key FROM memo_tags WHERE tag IN (SELECT value FROM json_each(:tags))))
"""
_COLUMNS = TypeAdapter(
    tuple[str, str, str, str, str, bytes, int, float, float | None, float, float, Json[list[str]]]
).validate_python
_COUNT = "INSERT INTO memo_counters VALUES (?, 1) ON CONFLICT (slot) DO UPDATE SET count = count + 1"


class SqliteMemoStore:
    """Keeps entries in a file; the least recently used go first when their contents exceed `max_bytes`."""

    tier: ClassVar[Tier] = "sqlite"
    leases: ClassVar[Leases | None] = None

    def __init__(self, path: str, *, clock: Callable[[], float], max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        if max_bytes < 1:
            raise SettingsError(f"max_bytes of a memo store is {max_bytes}; it needs room for a byte at least")
        self._path, self._clock, self._max_bytes = path, clock, max_bytes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agentcache-memo")
        self._connection: sqlite3.Connection | None = None
        self._pruned_at = 0.0
        self._failure: StoreError | None = None
        self._failed_at = 0.0

    async def get(self, key: str) -> MemoEntry | None:
        """Return the entry of this key."""

        def work(connection: sqlite3.Connection) -> MemoEntry | None:
            row = connection.execute(f"{_GET} WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            now = self._clock()
            if now - row[10] > _TOUCH_S:
                connection.execute("UPDATE memo_entries SET used_at = ? WHERE key = ?", (now, key))
            return _entry(row)

        return await self._do("read", work)

    async def put(self, entry: MemoEntry, *, unless_moved: Sequence[tuple[int, int]] = ()) -> bool:
        """Keep an entry; one that is too large for the whole store is not kept."""
        content, now = content_json(entry.content), self._clock()
        values = (entry.key, entry.tenant, entry.tool, entry.version, entry.arguments, content, entry.size)
        times = (entry.stored_at, entry.expires_at, entry.took_s, now)

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM memo_entries WHERE key = ?", (entry.key,))
            counters = _counters(connection, [slot for slot, _ in unless_moved])
            if entry.size > self._max_bytes or counters != tuple(count for _, count in unless_moved):
                return False
            marks = ", ".join("?" * 11)
            connection.execute(f"INSERT INTO memo_entries ({_ROW}) VALUES ({marks})", (*values, *times))
            connection.executemany("INSERT INTO memo_tags VALUES (?, ?)", [(entry.key, tag) for tag in entry.tags])
            self._make_room(connection, now)
            return True

        return await self._do("write", work, writes=True)

    async def counters(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Return these counters."""
        return await self._do("read", lambda connection: _counters(connection, slots))

    async def entries(self, which: Selection = EVERYTHING) -> list[MemoEntry]:
        """Return these entries, oldest first; those that cannot be read are left out."""

        def work(connection: sqlite3.Connection) -> list[MemoEntry]:
            rows = connection.execute(f"{_GET} {_WHERE} ORDER BY stored_at, key", _values(which)).fetchall()
            return list(_readable(rows))

        return await self._do("read", work)

    async def drop(self, key: str) -> None:
        """Forget one entry."""
        await self._do("write", lambda connection: connection.execute("DELETE FROM memo_entries WHERE key = ?", (key,)))

    async def remove(self, which: Selection) -> tuple[int, int]:
        """Forget these entries; return how many there were, and the total counter after it."""

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            connection.executemany(_COUNT, [(slot,) for slot in (TOTAL, *which.slots())])
            gone = connection.execute(f"DELETE FROM memo_entries {_WHERE}", _values(which)).rowcount
            return gone, _counters(connection, [TOTAL])[0]

        return await self._do("write", work, writes=True)

    async def prune(self, now: float) -> int:
        """Forget what has expired."""
        return await self._do("write", lambda connection: _prune(connection, now))

    async def close(self) -> None:
        """Close the file and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown(wait=False)

    def _make_room(self, connection: sqlite3.Connection, now: float) -> None:
        if now - self._pruned_at > _PRUNE_S:
            self._pruned_at = now
            _prune(connection, now)
        [excess] = connection.execute("SELECT bytes - ? FROM memo_size", (self._max_bytes,)).fetchone()
        if excess <= 0:
            return
        gone: list[tuple[str]] = []
        for key, size in connection.execute("SELECT key, size FROM memo_entries ORDER BY used_at, stored_at"):
            gone.append((key,))
            excess -= size
            if excess <= 0:
                break
        connection.executemany("DELETE FROM memo_entries WHERE key = ?", gone)

    async def _do(self, doing: str, work: Callable[[sqlite3.Connection], _T], *, writes: bool = False) -> _T:
        """Run `work` in the store's thread, in one transaction if it `writes` more than one statement."""
        asked_at = time.monotonic()

        def transaction() -> _T:
            if self._failure is not None and asked_at < self._failed_at:
                raise self._failure  # who queued behind a long wait does not wait as long again
            try:
                connection = self._opened()
                if not writes:
                    return work(connection)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                self._let_go()
                self._failure = StoreError(f"{self._path}: the memo cannot {doing}: {error}")
                self._failed_at = time.monotonic()
                raise self._failure from error
            return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            make_private(self._path)
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
            try:
                _set_up(connection, self._path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _set_up(connection: sqlite3.Connection, path: str) -> None:
    [found] = connection.execute("PRAGMA user_version").fetchone()
    if found > _FORMAT:
        raise StoreError(f"{path}: a newer agentcache wrote this memo; upgrade agentcache, or name another file")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    if found == 0:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_TABLES)


def _counters(connection: sqlite3.Connection, slots: Sequence[int]) -> tuple[int, ...]:
    marks = ", ".join("?" * len(slots))
    with closing(connection.execute(f"SELECT slot, count FROM memo_counters WHERE slot IN ({marks})", slots)) as rows:
        found = dict(rows)
    return tuple(found.get(slot, 0) for slot in slots)


def _prune(connection: sqlite3.Connection, now: float) -> int:
    return connection.execute("DELETE FROM memo_entries WHERE expires_at <= ?", (now,)).rowcount


def _values(which: Selection) -> _Values:
    tags = None if which.tags is None else canonical_json(list(which.tags))
    return {"tenant": which.tenant, "tool": which.tool, "version": which.version, "tags": tags}


def _readable(rows: Sequence[tuple[object, ...]]) -> Iterator[MemoEntry]:
    for row in rows:
        try:
            yield _entry(row)
        except CorruptEntry:
            continue  # whoever asks for its key drops it


def _entry(row: tuple[object, ...]) -> MemoEntry:
    try:
        key, tenant, tool, version, arguments, content, size, stored_at, expires_at, took_s, _, tags = _COLUMNS(row)
    except ValidationError as error:
        raise CorruptEntry(f"a kept result cannot be read back: {error.errors(include_url=False)[0]['msg']}") from error
    return MemoEntry(
        key=key,
        tenant=tenant,
        tool=tool,
        version=version,
        arguments=arguments,
        content=content_of_json(content),
        size=size,
        stored_at=stored_at,
        expires_at=expires_at,
        took_s=took_s,
        tags=tuple(tags),
    )
