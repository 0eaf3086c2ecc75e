"""A durable run that is gone through again sends the list that it began with, whatever the server lists by then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agentcache import Durable
from agentcache.testing import asks_for
from tests.durable.conftest import interrupted
from tests.toolsets.clerk import Office, clerk, names, results
from tests.workflow.conftest import staged


async def test_a_durable_run_goes_on_with_the_list_it_began_with(office: Office, tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def stuck(request: Any) -> Any:
        if not results(request):
            return asks_for("office__echo")
        reached.set()
        return await asyncio.sleep(60)

    kept: Any = {"store": f"sqlite:///{tmp_path}/ledger.db", "durable": Durable(poll_s=0.02)}
    async with staged(stuck, **kept) as stage:
        await interrupted(stage.runtime.run_as("one", clerk(office.http()), "Go."), reached)
    office.list("echo", "new")
    async with staged(["done"], **kept) as stage:
        result = await stage.runtime.run_as("one", clerk(office.http()), "Go.")
        [request] = stage.emulator.requests
    assert result.output == "done"
    assert names(request) == ["office__echo", "office__pid"]
    assert results(request) == ["echo {}"]
