"""The stores that the conformance suite runs against, each fresh: memory, a real SQLite file, a real PostgreSQL."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from agentcache.stores.opening import open_ledger
from agentcache.stores.protocols import Ledger

POSTGRES_URL = os.environ.get("AGENTCACHE_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/test")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database that is gone after the test."""
    if request.param == "memory":
        yield "memory:"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
    else:
        await need_postgresql()
        name = f"agentcache_{uuid.uuid4().hex}"
        await on_the_server(f"CREATE DATABASE {name}")
        yield make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
        await on_the_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    """An open, empty ledger."""
    opened = await open_ledger(ledger_url)
    yield opened
    await opened.close()


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


async def on_the_server(statement: str) -> None:
    engine = create_async_engine(POSTGRES_URL, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
