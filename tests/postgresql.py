"""A real PostgreSQL for the tests that need one: each process keeps three databases and empties them.

To make a database, bring it to today's schema and drop it takes seconds on a busy server, which is longer than nearly
every test that wants one. Nor does a commit wait for the disk: processes are killed here, the server is not.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from agentcache.stores.schema import metadata, schema_migrations

POSTGRES_URL = os.environ.get("AGENTCACHE_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/test")
_NO_ROWS = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table is not schema_migrations]
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_NO_DURABLE_ROWS = """
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
      WHERE schemaname = 'agentcache_durable' AND tablename <> 'dbos_migrations' LOOP
    EXECUTE 'DELETE FROM ' || name;
  END LOOP;
END $$
"""


class KeptDatabases:
    """Databases of this process, made when first asked for.

    One is lent bare, one keeps a ledger's tables, one those of a ledger and of durable runs.
    """

    def __init__(self) -> None:
        self._made: dict[str, str] = {}

    async def bare(self) -> str:
        """Return the URL of a database with nothing in it, which whoever had it before no longer reaches."""
        url = await self._database("bare")
        await on_the_server(_END_OTHERS, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", url=url)
        return url

    async def without_rows(self) -> str:
        """Return the URL of a database that holds an empty ledger, or nothing the first time."""
        return await self._emptied("ledger", *_NO_ROWS)

    async def without_runs(self) -> str:
        """Return the URL of a database that holds an empty ledger and no durable run, or nothing the first time.

        Whoever had it before no longer reaches it.
        """
        return await self._emptied("durable", _END_OTHERS, *_NO_ROWS, _NO_DURABLE_ROWS)

    async def drop(self) -> None:
        """Leave the server as it was found."""
        await on_the_server(*(f"DROP DATABASE {name} WITH (FORCE)" for name in self._made.values()))

    async def _emptied(self, purpose: str, *statements: str) -> str:
        first = purpose not in self._made
        url = await self._database(purpose)
        if not first:
            await on_the_server(*statements, url=url)
        return url

    async def _database(self, purpose: str) -> str:
        if purpose not in self._made:
            await need_postgresql()
            name = f"agentcache_{uuid.uuid4().hex}"
            await on_the_server(f"CREATE DATABASE {name}", f"ALTER DATABASE {name} SET synchronous_commit = off")
            self._made[purpose] = name
        return make_url(POSTGRES_URL).set(database=self._made[purpose]).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def kept_databases() -> Iterator[KeptDatabases]:
    """The databases that this process keeps, dropped when it ends."""
    kept = KeptDatabases()
    yield kept
    asyncio.run(kept.drop())


async def need_postgresql() -> None:
    """Skip the test where there is no PostgreSQL to run it on; in CI that is a failure."""
    if find_spec("asyncpg") is None:
        pytest.skip("PostgreSQL is tested where asyncpg is installed")
    try:
        await on_the_server("SELECT 1")
    except OSError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here ({error}); AGENTCACHE_TEST_POSTGRES_URL names another")


async def on_the_server(*statements: str, url: str = POSTGRES_URL) -> None:
    if not statements:
        return
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()
