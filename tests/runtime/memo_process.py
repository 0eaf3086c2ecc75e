"""One process of several that ask the same slow tool over one Redis.

Started with: URL, prefix, length of a lease, name, folder, length of an execution. It says `ready`, waits for a line,
asks five times at once, and prints how it was answered. Each execution appends the process's name to `executions`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.tools import tool
from agentcache.stores.redis import RedisMemoStore


@tool(deterministic=True, version="1")
async def slow(order_id: str) -> str:
    """Look an order up."""
    return order_id


async def ask(url: str, prefix: str, lease_s: float, name: str, folder: Path, takes_s: float) -> None:
    memo = ToolMemo(clock=time.time, shared=RedisMemoStore(url, clock=time.time, prefix=prefix), lease_s=lease_s)

    async def call() -> ToolResult:
        with (folder / "executions").open("a") as file:
            file.write(f"{name}\n")
        await asyncio.sleep(takes_s)
        return ToolResult(content="found")

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    answers = await asyncio.gather(*(memo.get_or_call(slow, {"order_id": "17"}, call) for _ in range(5)))
    await memo.close()
    print(json.dumps([[answer.result.content, answer.source] for answer in answers]), flush=True)


if __name__ == "__main__":
    url, prefix, lease_s, name, folder, takes_s = sys.argv[1:]
    asyncio.run(ask(url, prefix, float(lease_s), name, Path(folder), float(takes_s)))
