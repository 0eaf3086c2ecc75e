"""Which processes still live, told by locks that go when their holder does, however it ends.

Every process that performs durable runs holds one lock under its own name. Nobody has to send heartbeats, and nobody
waits for a lease to run out: the operating system (for a file) or the server (for a session) takes the lock back the
moment the process is gone. A PostgreSQL session of a machine that vanished from the network is given up by the server
after `KEEPALIVE_S`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from agentcache.stores.opening import normal_url
from agentcache.stores.private_files import make_private

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

KEEPALIVE_S = 15
"""After how many silent seconds PostgreSQL probes a session, and three probes of a third of it later gives it up."""


class Liveness(Protocol):
    """Holds this process's lock and asks after those of others; names are the processes' own, unique for ever."""

    async def hold(self, name: str) -> None:
        """Take the lock of this process."""
        ...

    async def dead(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of `names` whose process is gone."""
        ...

    async def release(self) -> None:
        """Let the lock go."""
        ...


def liveness_at(url: str) -> Liveness:
    """Return the liveness of the processes that share the database at `url`; raises `StoreError` for a bad URL."""
    normal = normal_url(url)
    if normal.get_backend_name() == "sqlite":
        return FileLiveness(Path(f"{normal.database}-processes"))
    return ServerLiveness(normal)


class FileLiveness:
    """One empty database file per process in `folder`, held in an exclusive transaction."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name: str | None = None
        self._lock: Connection | None = None

    async def hold(self, name: str) -> None:
        """Make the file of this process and lock it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        make_private(self._folder / name)
        self._name, self._lock = name, _locked(self._folder / name)

    async def dead(self, names: Iterable[str]) -> frozenset[str]:
        """Return those whose file is gone or can be locked by us; their files are taken away."""
        return await asyncio.to_thread(lambda: frozenset(name for name in names if self._is_dead(name)))

    async def release(self) -> None:
        """Let the lock go and take the file away."""
        if self._lock is not None and self._name is not None:
            _let_go(self._lock)
            (self._folder / self._name).unlink(missing_ok=True)
            self._lock = None

    def _is_dead(self, name: str) -> bool:
        path = self._folder / name
        if name == self._name:
            return False
        if not path.exists():
            return True
        try:
            lock = _locked(path)
        except OperationalError:
            return False
        _let_go(lock)
        path.unlink(missing_ok=True)
        return True


class ServerLiveness:
    """One advisory lock per process, held by a session that does nothing else; a second one asks after the others."""

    def __init__(self, url: URL) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine  # start-up time, as in `databases.PostgresDatabase`

        self._engine = create_async_engine(url, pool_size=2, pool_pre_ping=True, isolation_level="AUTOCOMMIT")
        self._lock: AsyncConnection | None = None

    async def hold(self, name: str) -> None:
        """Open the session and lock."""
        self._lock = await self._engine.connect()
        with suppress(DBAPIError):  # sessions over a local socket have no such settings, and need none
            await self._lock.execute(text(f"SET tcp_keepalives_idle = {KEEPALIVE_S}"))
            await self._lock.execute(text(f"SET tcp_keepalives_interval = {KEEPALIVE_S // 3}"))
            await self._lock.execute(text("SET tcp_keepalives_count = 3"))
        await self._lock.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _key(name)})

    async def dead(self, names: Iterable[str]) -> frozenset[str]:
        """Return those whose lock nobody holds."""
        keys = {_key(name): name for name in names}
        async with self._engine.connect() as connection:
            held = await connection.execute(
                text(
                    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' "
                    "AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            )
            living = {row[0] for row in held}
        return frozenset(name for key, name in keys.items() if key not in living)

    async def release(self) -> None:
        """Close the session; its lock goes with it."""
        if self._lock is not None:
            await self._lock.close()
            self._lock = None
        await self._engine.dispose()


def _locked(path: Path) -> Connection:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": 0, "check_same_thread": False},
        poolclass=NullPool,
    )
    connection = engine.connect()
    try:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
    except BaseException:
        connection.close()
        raise
    return connection


def _let_go(lock: Connection) -> None:
    lock.exec_driver_sql("ROLLBACK")
    lock.close()


def _key(name: str) -> int:
    """Return a name as the signed 64-bit number that an advisory lock is known by."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
