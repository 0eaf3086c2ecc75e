"""The emulator of this benchmark in a process of its own: 50 ms to the first token, four tool calls, then an answer.

    python account.py [--latency-ms 50]

Prints its address on the first line and serves until its standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from agentcache.emulator.latency import Latency
from agentcache.emulator.server import serve

TOOL_CALLS = 4


def reply(request: dict[str, Any]) -> Any:
    """Return what the model says: one tool call at a time, an answer behind the fourth result."""
    results = sum(
        block["type"] == "tool_result"
        for message in request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    )
    if results < TOOL_CALLS:
        return [{"type": "tool_use", "name": "look_up", "input": {"number": results}}]
    return "Everything is in order: the goods left on Monday and will be there on Thursday."


async def main(latency_ms: float) -> None:
    async with serve(reply, latency=Latency(base_s=latency_ms / 1000), keep_requests=1) as emulator:
        print(emulator.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the emulator of this benchmark.")
    parser.add_argument("--latency-ms", type=float, default=50.0)
    asyncio.run(main(parser.parse_args().latency_ms))
