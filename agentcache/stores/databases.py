"""What differs between SQLite and PostgreSQL: who runs a transaction, how a connection is set up, what an error means.

Knows no tables. A transaction is a function of a connection: SQLite runs it in a thread of its own, since its calls
block and hopping between threads for every statement costs more than the statement; PostgreSQL runs it on the event
loop.

SQLite is set up in one hook: write-ahead log (readers never wait for the writer), a long wait for other writers,
foreign keys, and `synchronous=NORMAL` (a commit survives the end of the process; the last ones may be lost when the
machine itself goes down). Its transactions begin explicitly, since the driver's own begin cannot take the write lock
first; without that, two processes that read and then write would fail instead of waiting for each other.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from agentcache.errors import StoreError
from agentcache.stores.private_files import make_private

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_T = TypeVar("_T")

BUSY_TIMEOUT_S = 30.0
"""How long a SQLite connection waits for the writer of another process, and who reads PostgreSQL for a locked table."""

_ADVICE = (
    ("not a database", "it is no SQLite database; move it away, or name another file"),
    ("malformed", "it is damaged; move it away, or name another file"),
    ("unable to open", "check that its directory exists and can be written"),
    ("readonly", "it cannot be written; check its permissions, or name another file"),
    ("locked", f"another program has kept it locked for more than {BUSY_TIMEOUT_S:.0f} s; end that one first"),
    ("lock timeout", f"another program has kept it locked for more than {BUSY_TIMEOUT_S:.0f} s; end that one first"),
    ("disk is full", "make room on the disk"),
    ("already exists", "it has tables of another program with our names; name a database of its own"),
    ("does not exist", "make it on the server first, or name another one in the URL"),
    ("FOREIGN KEY", "the run that the row belongs to is not there; start_run comes first"),
    ("foreign key", "the run that the row belongs to is not there; start_run comes first"),
    ("UNIQUE", "a row of this id is there already; every row needs an id of its own"),
    ("unique", "a row of this id is there already; every row needs an id of its own"),
    ("password", "check user and password in the URL"),
    ("Connect call failed", "check host and port in the URL, and that the server runs"),
    ("not known", "check the host in the URL"),
    ("unexpected keyword argument", "take that option out of the URL"),
)


class Database(Protocol):
    """Runs transactions: each is committed when its function returns, and rolled back when it raises.

    dialect: `sqlite` or `postgresql`, whose words for an insert that meets its row already there differ.
    """

    dialect: str

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return what `work` returns, from one consistent state of the database; it writes nothing."""
        ...

    async def write(self, work: Callable[[Connection], _T], *, wait_s: float | None = None) -> _T:
        """Return what `work` returns once it is committed; of those who write, one at a time is in there.

        wait_s: how long to wait for another program that keeps it locked; `None` is `BUSY_TIMEOUT_S` on a file, and
            for ever on a server.
        """
        ...

    async def compact(self) -> None:
        """Give the room of removed rows back, where the database does not do so by itself."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


def database_at(url: URL) -> Database:
    """Return the database of a normal URL (`opening.normal_url`); nothing is opened yet.

    Raises `ModuleNotFoundError` when PostgreSQL's driver is not installed.
    """
    return SqliteDatabase(url) if url.get_backend_name() == "sqlite" else PostgresDatabase(url)


class SqliteDatabase:
    """A file. One thread and one connection write; readers have connections of their own."""

    dialect = "sqlite"

    def __init__(self, url: URL) -> None:
        self._reading = _sqlite_engine(_read_only_medium(url) or url, begin="BEGIN")
        self._writing = _sqlite_engine(url, begin="BEGIN IMMEDIATE")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agentcache-ledger")
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
            if self._connection is None:
                self._connection = self._writing.connect()
                self._file = _file_at(self._path)
            elif self._file != _file_at(self._path):
                raise OSError("its file was removed or replaced while it was open; end this program and start it anew")
            with _patience(self._connection, wait_s), self._connection.begin():
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    async def compact(self) -> None:
        """Write the file anew without its holes, in the writer's thread; it takes as much room again meanwhile."""

        def vacuum() -> None:
            # Outside of SQLAlchemy's transactions: SQLite refuses it in one.
            raw = self._writing.raw_connection()
            try:
                raw.cursor().execute("VACUUM")
            finally:
                raw.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, vacuum)

    async def close(self) -> None:
        """Close every connection and end the thread."""

        def let_go() -> None:
            self._readers.gone()
            if self._connection is not None:
                self._connection.close()
            self._writing.dispose()
            self._reading.dispose()

        await asyncio.get_running_loop().run_in_executor(self._thread, let_go)
        self._thread.shutdown(wait=False)


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


class PostgresDatabase:
    """A server."""

    dialect = "postgresql"

    def __init__(self, url: URL) -> None:
        # Start-up time: it brings the whole ORM, which a ledger in a file has no use for.
        from sqlalchemy.ext.asyncio import create_async_engine

        self._engine: AsyncEngine = create_async_engine(url, pool_pre_ping=True)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` on a connection of the pool."""

        def bounded(connection: Connection) -> _T:
            # A report would hang for ever on a table that somebody keeps; whoever writes has to wait.
            connection.execute(text(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_S * 1000:.0f}"))
            return work(connection)

        return await self.write(bounded)

    async def write(self, work: Callable[[Connection], _T], *, wait_s: float | None = None) -> _T:
        """Run `work` on a connection of the pool."""
        async with self._engine.begin() as connection:
            if wait_s is not None:
                await connection.execute(text(f"SET LOCAL lock_timeout = {wait_s * 1000:.0f}"))
            return await connection.run_sync(work)

    async def compact(self) -> None:
        """Do nothing: the server's autovacuum does it."""

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


def may_not_write(error: BaseException) -> bool:
    """Tell whether a database refused to be written: a user who only reads, a standby, a file that others lock."""
    told = str(getattr(error, "orig", None) or error)
    refusals = ("readonly database", "read-only transaction", "permission denied", "database is locked", "lock timeout")
    return any(fragment in told for fragment in refusals)


def is_fault_of_a_row(error: BaseException | None) -> bool:
    """Tell a row that cannot be stored (an id twice, a missing run, a value of no JSON) from a database in trouble."""
    return isinstance(error, IntegrityError | DataError) or not isinstance(error, DBAPIError | OSError)


def store_error(error: BaseException, *, where: str, doing: str) -> StoreError:
    """Return the `StoreError` for a database's error: what failed, where, and what to do about it."""
    cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0] or type(error).__name__
    advice = next((told for fragment, told in _ADVICE if fragment in cause), None)
    return StoreError(f"{where}: cannot {doing}: {cause}" + (f"; {advice}" if advice else ""))


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


def _sqlite_engine(url: URL, *, begin: str) -> Engine:
    engine = create_engine(url, connect_args={"isolation_level": None})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return which file is at a path, `None` for none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _patience(connection: Connection, wait_s: float | None) -> Iterator[None]:
    """Let a file's connection wait so long for whoever locks it; `None` leaves it as it was set up."""
    if wait_s is None:
        yield
        return
    driver = connection.connection.cursor()
    try:
        driver.execute(f"PRAGMA busy_timeout = {wait_s * 1000:.0f}")
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
        driver.close()


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
        cursor.execute("PRAGMA trusted_schema = OFF")  # a file from elsewhere brings views and triggers of its own
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()  # the pool does not know it yet, so nobody else would
        raise
    cursor.close()
