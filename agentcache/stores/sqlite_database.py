"""A SQLite file: who runs a transaction, and how a connection is set up.

A transaction is a function of a connection. It runs in a thread of its own, since SQLite's calls block and hopping
between threads for every statement costs more than the statement. What takes less time than waking the thread does, a
few rows, `write_now` does at once: a commit appends to the log and waits for no disk. Whatever would wait goes to the
thread: for other writers, and to carry the log over into the file.

A connection is set up in one hook: write-ahead log (readers never wait for the writer), a long wait for other writers,
foreign keys, and `synchronous=NORMAL` (a commit survives the end of the process; the last ones may be lost when the
machine itself goes down). Transactions begin explicitly, since the driver's own begin cannot take the write lock first;
without that, two processes that read and then write would fail instead of waiting for each other. Those of the writer
are begun and committed by the driver itself, which takes SQLAlchemy as long as SQLite takes for a row.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from agentcache.stores import database_errors
from agentcache.stores.database_errors import NotNow
from agentcache.stores.prepared import driver_error
from agentcache.stores.private_files import make_private

_T = TypeVar("_T")

SQLITE_VERSION = sqlite3.sqlite_version_info
"""Of the library that this Python was built with."""

_CARRY_EVERY = 100
"""Commits of `write_now` after which the thread carries the log over. SQLite's own bound, at which a commit does it, is
1,000 pages, and a few rows make less than ten."""


class SqliteDatabase:
    """A file. One connection writes, in a thread or at once; readers have connections of their own."""

    dialect = "sqlite"

    def __init__(self, url: URL) -> None:
        self._reading = _sqlite_engine(_read_only_medium(url) or url)
        event.listen(self._reading, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        self._writing = _sqlite_engine(url)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agentcache-ledger")
        self._handed: list[Future[object]] = []
        """What the thread was given and may not have finished; the connection is its own meanwhile."""
        self._uncarried = 0
        """How many commits `write_now` has made since the log was carried over."""
        self._connection: Connection | None = None
        self._path = Path(url.database or "")
        self._file: tuple[int, int] | None = None
        """The file that the writer has open; what is written to one that was removed is gone with the process."""
        self._readers = _Readers()

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` in any thread."""

        def transaction() -> _T:
            with self._readers.one(), self._reading.begin() as connection:
                return work(connection)

        return await asyncio.to_thread(transaction)

    async def write(self, work: Callable[[Connection], _T], *, wait_s: float | None = None) -> _T:
        """Run `work` in the writer's thread."""

        def transaction() -> _T:
            connection = self._connected()
            driver = _driver_of(connection)
            with _patience(driver, database_errors.BUSY_TIMEOUT_S if wait_s is None else wait_s), _transaction(driver):
                return work(connection)

        return await self._by_thread(transaction)

    def write_now(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` here, unless the thread is at work, or another program."""
        if self._unfinished() or self._connection is None:
            raise NotNow
        connection = self._connected()
        try:
            with _transaction(_driver_of(connection)):
                result = work(connection)
        except _Locked as error:
            raise NotNow from error
        self._uncarried += 1
        if self._uncarried >= _CARRY_EVERY:
            self._uncarried = 0
            self._by_thread(self._carry_over)
        return result

    def _by_thread(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        # The thread's own future: the event loop's is done once whoever waits is cancelled, though the thread is not.
        handed = self._thread.submit(work)
        self._handed = [*self._unfinished(), cast("Future[object]", handed)]
        return asyncio.wrap_future(handed)

    def _unfinished(self) -> list[Future[object]]:
        return [handed for handed in self._handed if not handed.done()]

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._writing.connect()
            _driver_of(self._connection).execute("PRAGMA busy_timeout = 0")  # whoever has time to wait says so
            self._file = _file_at(self._path)
        elif self._file != _file_at(self._path):
            raise OSError("its file was removed or replaced while it was open; end this program and start it anew")
        return self._connection

    def _carry_over(self) -> None:
        """Carry the log over into the file, which waits for the disk, before a commit has to do it."""
        with suppress(sqlite3.Error, OSError):  # the rows are safe in the log, and the next commit tells what is wrong
            _driver_of(self._connected()).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    async def compact(self) -> None:
        """Write the file anew without its holes, in the writer's thread; it takes as much room again meanwhile."""

        def vacuum() -> None:
            # Outside of SQLAlchemy's transactions: SQLite refuses it in one.
            raw = self._writing.raw_connection()
            try:
                raw.cursor().execute("VACUUM")
            finally:
                raw.close()

        await self._by_thread(vacuum)

    async def close(self) -> None:
        """Close every connection and end the thread."""

        def let_go() -> None:
            self._readers.gone()
            if self._connection is not None:
                self._connection.close()
            self._writing.dispose()
            self._reading.dispose()

        await self._by_thread(let_go)
        self._thread.shutdown(wait=False)


class _Locked(OperationalError):
    """Another program keeps the file from being written."""


class _Readers:
    """Who reads now, in threads that go on when whoever waits for them is cancelled."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now, self._closed = 0, False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be one of them for the block. Raises `OSError` once the database is closed: nobody waits for what is read."""
        with self._changed:
            if self._closed:
                raise OSError("the database is closed")
            self._now += 1
        try:
            yield
        finally:
            with self._changed:
                self._now -= 1
                self._changed.notify_all()

    def gone(self) -> None:
        """Let no more of them in and wait until all have left: a connection in use cannot be closed."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._now)


def blocking_sqlite_engine(path: str) -> Engine:
    """Return an engine on a file for a library that runs its own transactions, set up as the ledger's is.

    The driver begins them, at the first statement, and takes the write lock at once. A new file is its owner's alone.
    """
    make_private(path)
    engine = create_engine(URL.create("sqlite", database=path), connect_args={"isolation_level": "IMMEDIATE"})
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _read_only_medium(url: URL) -> URL | None:
    """Return how to read a file in whose directory nothing can be made, `None` for any other.

    Even readers of a write-ahead log make files beside the database. Where they cannot, and there is no log, nobody
    writes, and SQLite can be told so.
    """
    path = Path(url.database or "")
    if not path.exists() or os.access(path.parent, os.W_OK) or Path(f"{path}-wal").exists():
        return None
    return url.set(database=f"file:{quote(str(path))}").update_query_dict({"immutable": "1", "uri": "true"})


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"isolation_level": None})
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _driver_of(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(f"the driver's connection is a {type(driver).__name__}")
    return driver


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return which file is at a path, `None` for none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _transaction(driver: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or roll it back when it raises. Raises `_Locked` where others keep the file."""
    try:
        driver.execute("BEGIN IMMEDIATE")
        yield
        driver.commit()
    except BaseException as error:
        driver.rollback()
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            # At the commit, too, where the file's disk knows no write-ahead log.
            raise _Locked("BEGIN or COMMIT", None, error) from error
        if isinstance(error, sqlite3.Error):
            raise driver_error(error, "BEGIN or COMMIT") from error
        raise


@contextmanager
def _patience(driver: sqlite3.Connection, wait_s: float) -> Iterator[None]:
    """Let the writer's connection wait so long for whoever locks its file."""
    driver.execute(f"PRAGMA busy_timeout = {wait_s * 1000:.0f}")
    try:
        yield
    finally:
        driver.execute("PRAGMA busy_timeout = 0")


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {database_errors.BUSY_TIMEOUT_S * 1000:.0f}")
        cursor.execute("PRAGMA trusted_schema = OFF")  # a file from elsewhere brings views and triggers of its own
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()  # the pool does not know it yet, so nobody else would
        raise
    cursor.close()
