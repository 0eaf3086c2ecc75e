"""What differs between SQLite and PostgreSQL: who runs a transaction. Knows no tables.

PostgreSQL runs a transaction on the event loop; `sqlite_database.py` says what SQLite does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import URL, Connection, text

from agentcache.stores import database_errors
from agentcache.stores.database_errors import NotNow
from agentcache.stores.sqlite_database import SqliteDatabase

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_T = TypeVar("_T")


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

    def write_now(self, work: Callable[[Connection], _T]) -> _T:
        """Return what `work` returns, which must be short, once it is committed, without waiting for anybody.

        Raises `NotNow`, with nothing written, where it would have to wait.
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
            connection.execute(text(f"SET LOCAL lock_timeout = {database_errors.BUSY_TIMEOUT_S * 1000:.0f}"))
            return work(connection)

        return await self.write(bounded)

    async def write(self, work: Callable[[Connection], _T], *, wait_s: float | None = None) -> _T:
        """Run `work` on a connection of the pool."""
        async with self._engine.begin() as connection:
            if wait_s is not None:
                await connection.execute(text(f"SET LOCAL lock_timeout = {wait_s * 1000:.0f}"))
            return await connection.run_sync(work)

    def write_now(self, work: Callable[[Connection], _T]) -> _T:
        """Raise `NotNow`: a server has to be waited for."""
        raise NotNow

    async def compact(self) -> None:
        """Do nothing: the server's autovacuum does it."""

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()
