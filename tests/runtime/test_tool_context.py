"""A tool's function can ask which call it is, in whatever thread it runs."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from itertools import count

import pytest

from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.own_thread import in_own_thread
from agentcache.runtime.tool_calls import ToolTurn, run_tool_calls
from agentcache.runtime.tool_context import ToolCall, current_tool_call
from agentcache.runtime.tools import tool


async def forget(row: object) -> None:
    """Keep nothing."""


async def test_each_call_of_a_turn_finds_itself_async_or_in_a_thread():
    seen: list[tuple[ToolCall, bool]] = []

    @tool
    async def here() -> None:
        """Run here."""
        await asyncio.sleep(0)
        seen.append((current_tool_call(), threading.current_thread() is threading.main_thread()))

    @tool
    def there() -> None:
        """Run in a thread."""
        seen.append((current_tool_call(), threading.current_thread() is threading.main_thread()))

    ids, numbers = [("here", "t1"), ("there", "t2"), ("here", "t3")], count()
    turn = ToolTurn(
        run_id="run_1",
        agent="clerk",
        call_id="call_1",
        clock=lambda: 0.0,
        new_id=lambda kind: f"{kind}_{next(numbers)}",
        record=forget,
    )
    blocks: list[JsonObject] = [
        {"type": "tool_use", "id": tool_use_id, "name": name, "input": {}} for name, tool_use_id in ids
    ]
    await run_tool_calls(blocks, {"here": here, "there": there}, turn)
    assert sorted((call.tool, call.tool_use_id) for call, _ in seen) == sorted(ids)
    assert {(call.tool, main) for call, main in seen} == {("here", True), ("there", False)}
    assert {(call.run_id, call.agent) for call, _ in seen} == {("run_1", "clerk")}
    assert len({call.idempotency_key for call, _ in seen}) == 3


async def test_a_thread_of_its_own_hands_over_value_and_error():
    assert await in_own_thread(lambda: threading.current_thread().daemon)
    with pytest.raises(KeyError, match="gone"):
        await in_own_thread(partial(dict[str, int]().__getitem__, "gone"))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_own_thread(lambda: next(iter(())))


async def test_nobody_waits_for_a_thread_after_a_cancellation():
    may_end, ended = threading.Event(), threading.Event()

    def wait() -> None:
        may_end.wait(10)
        ended.set()

    waiting = asyncio.create_task(in_own_thread(wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()
    assert await asyncio.to_thread(ended.wait, 10)
    await asyncio.sleep(0)  # what the thread hands in meets a future that is done
