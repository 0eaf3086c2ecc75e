"""Asks agentcache's memo. Started by `measure.py` with a way, a folder for files and the URL of a Redis."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from asking import ARGUMENTS, RESULT, Ask, answer_rounds

from agentcache import tool
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.memo_keys import bound
from agentcache.runtime.tool_results import ToolResult
from agentcache.stores.memo_memory import MemoryMemoStore
from agentcache.stores.memo_opening import open_memo


@tool(deterministic=True, ttl="1h", tags=["orders"])
async def find_order(order_id: str, limit: int = 10) -> str:
    """Look an order up."""
    return RESULT


async def ask_of(way: str, folder: Path, redis: str) -> Ask:
    """Return what is timed: one answer from the tier that `way` names, or the making of a key alone."""
    if way == "key":

        async def key() -> None:
            bound(find_order, ARGUMENTS).key()

        return key
    url = {"memory": None, "sqlite": str(folder / "memo.db"), "redis": redis}[way]
    memo = ToolMemo(clock=time.time, shared=None if url is None else open_memo(url), tenant="benchmark")
    if url is not None:
        memo.tiers.memory = MemoryMemoStore(max_bytes=1)  # no room: every answer comes from below

    async def execute() -> ToolResult:
        return ToolResult(content=RESULT)

    async def ask() -> str:
        answer = await memo.get_or_call(find_order, ARGUMENTS, execute)
        assert answer.source in (way, "executed")
        return answer.result.content

    await ask()
    assert (await memo.get_or_call(find_order, ARGUMENTS, execute)).source == way
    return ask


if __name__ == "__main__":
    asyncio.run(answer_rounds(ask_of(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
