"""What durable runs are tested on: empty databases (a SQLite file, a real PostgreSQL), and a model that gets stuck."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentcache import Durable
from tests.postgresql import KeptDatabases
from tests.workflow.conftest import Request, staged


@pytest.fixture
async def postgres_url(kept_databases: KeptDatabases) -> str:
    """The URL of a PostgreSQL database without a row."""
    return await kept_databases.without_runs()


@pytest.fixture(params=["sqlite", "postgresql"])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a row."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


DURABLE = Durable(poll_s=0.02)


class Model:
    """Echoes what it was asked; counts; answers to texts in `stuck` never come. `reached` tells that one was asked."""

    def __init__(self, *stuck: str) -> None:
        self.stuck, self.reached, self.asked = set(stuck), asyncio.Event(), Counter[str]()

    async def __call__(self, request: Request) -> str:
        text = str(request["messages"][-1]["content"][-1]["text"])
        self.asked[text] += 1
        if text in self.stuck:
            self.reached.set()
            await asyncio.sleep(60)
        return f"{text}!"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


def durably(model: Any, store: str, **options: Any) -> Any:
    return staged(model, store=store, durable=DURABLE, **options)


async def interrupted(run: Any, reached: asyncio.Event) -> None:
    """Let a run come to where it is stuck, and cancel it there."""
    task = asyncio.ensure_future(run)
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
