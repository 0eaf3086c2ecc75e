"""What every contestant is asked, and how its rounds are timed; runs in every environment."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

ARGUMENTS = {"order_id": "17"}
RESULT = "The order left the warehouse on Tuesday and waits for a ship. " * 32
"""About 2,000 characters: 500 tokens."""

Ask = Callable[[], Awaitable[object]]


async def answer_rounds(making: Awaitable[Ask]) -> None:
    """For each line with a number read, ask that often, one after the other, and print the microseconds of one ask."""
    ask = await making
    for _ in range(100):
        found = await ask()
        assert found in (None, RESULT)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        times = int(line)
        began = time.perf_counter()
        for _ in range(times):
            await ask()
        print((time.perf_counter() - began) / times * 1e6, flush=True)
