"""The stores that the conformance suite runs against, each empty: memory, a real SQLite file, a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentcache.stores.opening import open_ledger
from agentcache.stores.protocols import Ledger
from tests.postgresql import KeptDatabases


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    """What keeps the ledger of a test."""
    return str(request.param)


@pytest.fixture
async def ledger_url(store: str, tmp_path: Path, kept_databases: KeptDatabases) -> str:
    """The URL of an empty database."""
    if store == "postgresql":
        return await kept_databases.bare()
    return "memory:" if store == "memory" else f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
async def ledger(store: str, tmp_path: Path, kept_databases: KeptDatabases) -> AsyncIterator[Ledger]:
    """An open, empty ledger."""
    if store == "postgresql":
        url = await kept_databases.without_rows()
    else:
        url = "memory:" if store == "memory" else f"sqlite:///{tmp_path}/ledger.db"
    opened = await open_ledger(url)
    yield opened
    await opened.close()
