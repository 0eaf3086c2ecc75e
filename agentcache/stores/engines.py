"""What differs between the databases: how a connection is set up, how a transaction begins, what an error means.

SQLite is set up in one hook: write-ahead log (readers never wait for the writer), a long wait for other writers,
foreign keys, and `synchronous=NORMAL` (a commit survives the end of the process; the last ones may be lost when the
machine itself goes down). Its transactions begin explicitly, since the driver's own begin cannot take the write lock
first; without that, two processes that read and then write would fail instead of waiting for each other.
"""

from __future__ import annotations

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from agentcache.errors import StoreError

BUSY_TIMEOUT_S = 30.0
"""How long a SQLite connection waits for the writer of another process."""

_WRITES = "agentcache_writes"

_ADVICE = (
    ("not a database", "it is no SQLite database; move it away, or name another file"),
    ("malformed", "it is damaged; move it away, or name another file"),
    ("unable to open", "check that its directory exists and can be written"),
    ("readonly", "it cannot be written; check its permissions, or name another file"),
    ("locked", f"another program has kept it locked for more than {BUSY_TIMEOUT_S:.0f} s; end that one first"),
    ("disk is full", "make room on the disk"),
    ("already exists", "it has tables of another program with our names; name a database of its own"),
    ("FOREIGN KEY", "the run that the row belongs to is not there; start_run comes first"),
    ("foreign key", "the run that the row belongs to is not there; start_run comes first"),
    ("UNIQUE", "a row of this id is there already; every row needs an id of its own"),
    ("unique", "a row of this id is there already; every row needs an id of its own"),
    ("password", "check user and password in the URL"),
    ("refused", "check host and port in the URL, and that the server runs"),
)


def make_engine(url: URL) -> AsyncEngine:
    """Return an engine for a normal URL (`opening.normal_url`); nothing is opened yet.

    Raises `ModuleNotFoundError` when the database's driver is not installed.
    """
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, pool_pre_ping=True)
    engine = create_async_engine(url, connect_args={"isolation_level": None})
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def for_writing(engine: AsyncEngine) -> AsyncEngine:
    """Return the engine with transactions that take the write lock when they begin, where there is one."""
    return engine.execution_options(**{_WRITES: True})


def store_error(error: BaseException, *, where: str, doing: str) -> StoreError:
    """Return the `StoreError` for a database's error: what failed, where, and what to do about it."""
    cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0] or type(error).__name__
    advice = next((text for fragment, text in _ADVICE if fragment in cause), None)
    return StoreError(f"{where}: cannot {doing}: {cause}" + (f"; {advice}" if advice else ""))


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
