"""The tools of one assistant turn: all at once, each answered once, each recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.usage import ToolCallRecord
from agentcache.errors import StoreError
from agentcache.prompt.canonical import JsonObject, digest
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.token_estimate import block_tokens
from agentcache.runtime.events import Event, Notice, ToolFinished, ToolStarted
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.tool_calls import ToolTurn, run_tool_calls
from agentcache.runtime.tools import Tool, tool


@tool
async def find_order(order_id: str, limit: int = 10) -> str:
    """Look an order up by its number."""
    return f"order {order_id}, {limit}"


@tool
async def wait_for(turns: int) -> str:
    """Wait for some turns of the event loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return f"waited {turns}"


@tool
async def wait_forever() -> str:
    """Wait until cancelled."""
    await asyncio.Event().wait()
    return "never"


class Ledger:
    """Takes rows and events down in the order in which they come."""

    def __init__(self) -> None:
        self.rows: list[ToolCallRecord] = []
        self.events: list[Event] = []
        self.fails = False

    async def until(self, *, rows: int, events: int) -> None:
        while len(self.rows) < rows or len(self.events) < events:  # noqa: ASYNC110  # a sink is no coroutine
            await asyncio.sleep(0)

    async def record(self, row: ToolCallRecord) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise StoreError("disk full")
        self.rows.append(row)


def turn(ledger: Ledger, *, memo: ToolMemo | None = None, concurrency: int | None = None) -> ToolTurn:
    seconds, ids = count(100.0), count(1)
    return ToolTurn(
        run_id="run_1",
        agent="support",
        call_id="call_1",
        clock=lambda: next(seconds),
        new_id=lambda kind: f"{kind}_{next(ids)}",
        record=ledger.record,
        emit=ledger.events.append,
        memo=memo,
        concurrency=concurrency,
    )


def use(name: str, number: int = 1, **arguments: str | int) -> JsonObject:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": dict(arguments.items())}


def offered(*tools: Tool) -> dict[str, Tool]:
    return {item.name: item for item in tools}


async def test_every_block_gets_its_result_and_its_row():
    ledger = Ledger()
    results, rows = await run_tool_calls(
        [use("find_order", 1, order_id="17"), use("wait_for", 2, turns=0)], offered(find_order, wait_for), turn(ledger)
    )
    assert results == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "order 17, 10"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "waited 0"},
    ]
    assert rows[0] == ToolCallRecord(
        tool_call_id="tool_1",
        run_id="run_1",
        agent="support",
        call_id="call_1",
        tool="find_order",
        started_at=100.0,
        ended_at=101.0,
        outcome="ok",
        result_chars=12,
        memo_tier="executed",
        memo_saved_s=0.0,
        result_bytes=12,
        result_tokens=None,
        result_digest=digest("order 17, 10"),
    )
    assert sorted(ledger.rows, key=lambda row: row.tool_call_id) == rows


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=8), st.none() | st.integers(1, 3))
async def test_results_stand_in_the_order_of_the_blocks_whatever_finishes_first(
    waits: list[int], concurrency: int | None
):
    blocks = [use("wait_for", number, turns=turns) for number, turns in enumerate(waits)]
    ledger = Ledger()
    results, rows = await run_tool_calls(blocks, offered(wait_for), turn(ledger, concurrency=concurrency))
    assert [(item["tool_use_id"], item["content"]) for item in results] == [
        (f"toolu_{number}", f"waited {turns}") for number, turns in enumerate(waits)
    ]
    assert len(rows) == len(ledger.rows) == len(blocks)


async def test_tools_run_side_by_side():
    together = asyncio.Barrier(3)

    @tool
    async def meet() -> str:
        """Wait for the others."""
        await together.wait()
        return "met"

    async with asyncio.timeout(5):
        results, _ = await run_tool_calls([use("meet", i) for i in range(3)], offered(meet), turn(Ledger()))
    assert [item["content"] for item in results] == ["met"] * 3


async def test_no_more_run_at_once_than_are_allowed():
    running, most = 0, 0

    @tool
    async def busy() -> str:
        """Be busy."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return "done"

    await run_tool_calls([use("busy", i) for i in range(7)], offered(busy), turn(Ledger(), concurrency=2))
    assert most == 2


async def test_an_unknown_tool_is_answered_with_the_names_on_offer():
    results, rows = await run_tool_calls([use("find_ordr")], offered(wait_for, find_order), turn(Ledger()))
    assert results[0]["content"] == "There is no tool named 'find_ordr'. Available tools: find_order, wait_for."
    assert (results[0]["is_error"], rows[0].outcome) == (True, "unknown_tool")


async def test_arguments_that_are_no_object_are_answered():
    block: JsonObject = {"type": "tool_use", "id": "toolu_1", "name": "find_order", "input": ["17"]}
    results, rows = await run_tool_calls([block], offered(find_order), turn(Ledger()))
    assert results[0]["content"] == "The arguments of find_order must be a JSON object, not list."
    assert rows[0].outcome == "invalid_arguments"


async def test_events_tell_of_start_and_end_and_why_a_tool_broke():
    @tool
    async def fail() -> str:
        """Fail."""
        raise KeyError("17")

    ledger = Ledger()
    await run_tool_calls([use("fail")], offered(fail), turn(ledger))
    started, notice, finished = ledger.events
    assert isinstance(started, ToolStarted)
    assert isinstance(notice, Notice)
    assert notice.message.startswith("tool 'fail' raised KeyError: '17' (")
    assert "test_tool_calls.py:" in notice.message
    assert isinstance(finished, ToolFinished)
    assert (finished.outcome, finished.tool_call_id) == ("error", started.tool_call_id)


async def test_cancelling_the_turn_cancels_every_tool_and_records_every_block():
    ledger = Ledger()
    blocks = [use("wait_for", 1, turns=0), use("wait_forever", 2), use("wait_forever", 3)]
    tools = offered(wait_for, wait_forever)
    task = asyncio.create_task(run_tool_calls(blocks, tools, turn(ledger, concurrency=2)))
    await ledger.until(rows=1, events=4)  # three tools began and one of them ended
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(row.tool_call_id, row.outcome) for row in ledger.rows] == [
        ("tool_1", "ok"),
        ("tool_2", "cancelled"),
        ("tool_3", "cancelled"),
    ]


async def test_a_turn_cancelled_before_its_tools_began_is_recorded_too():
    ledger = Ledger()
    task = asyncio.create_task(
        run_tool_calls([use("wait_forever", i) for i in range(3)], offered(wait_forever), turn(ledger))
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.outcome for row in ledger.rows] == ["cancelled"] * 3


async def test_a_row_is_written_to_its_end_however_often_the_turn_is_cancelled():
    writing, go = asyncio.Event(), asyncio.Event()
    written: list[str] = []

    async def record(row: ToolCallRecord) -> None:
        writing.set()
        await go.wait()
        written.append(row.outcome)

    blocks = [use("wait_for", 1, turns=0), use("wait_forever", 2)]
    slow = replace(turn(Ledger()), record=record)
    task = asyncio.create_task(run_tool_calls(blocks, offered(wait_for, wait_forever), slow))
    await writing.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(written) == ["cancelled", "ok"]


async def test_a_tool_that_cancels_itself_is_answered_and_ends_nothing():
    @tool
    async def quit_early() -> str:
        """Quit."""
        raise asyncio.CancelledError

    blocks = [use("quit_early", 1), use("wait_for", 2, turns=3)]
    results, rows = await run_tool_calls(blocks, offered(quit_early, wait_for), turn(Ledger()))
    assert [row.outcome for row in rows] == ["cancelled", "ok"]
    assert results[0]["is_error"] is True


async def test_a_ledger_that_fails_is_no_matter_of_the_model():
    ledger = Ledger()
    ledger.fails = True
    with pytest.raises(StoreError, match="disk full"):
        await run_tool_calls([use("wait_for", turns=0)], offered(wait_for), turn(ledger))


async def test_a_kept_result_is_the_same_to_the_byte_and_recorded_as_such():
    calls = count(1)

    @tool(deterministic=True, version="1")
    async def price(article: str) -> dict[str, int]:
        """Look a price up."""
        return {article: next(calls)}

    ledger, memo = Ledger(), ToolMemo(clock=lambda: 0.0)
    first, _ = await run_tool_calls([use("price", article="x")], offered(price), turn(ledger, memo=memo))
    again, rows = await run_tool_calls([use("price", article="x")], offered(price), turn(ledger, memo=memo))
    assert first == again
    assert [row.memo_hit for row in ledger.rows] == [False, True]
    assert rows[0].result_chars == len('{"x":1}')


async def test_a_row_tells_which_tier_answered_and_what_of_the_result_was_the_same_again():
    seconds = count()

    @tool(deterministic=True, version="1")
    async def price(article: str) -> dict[str, str]:
        """Look a price up."""
        await asyncio.sleep(0)
        return {article: "4 €"}

    ledger, memo = Ledger(), ToolMemo(clock=lambda: float(next(seconds)))
    asking = replace(turn(ledger, memo=memo), facts=facts_for("claude-sonnet-5-5"))
    blocks = [use("price", number, article="x") for number in (1, 2)]
    await run_tool_calls(blocks, offered(price), asking)
    results, _ = await run_tool_calls([use("price", 3, article="x")], offered(price), asking)

    assert [row.memo_tier for row in ledger.rows] == ["executed", "shared", "memory"]
    executed, *spared = (row.memo_saved_s or 0.0 for row in ledger.rows)
    assert executed == 0 < min(spared)
    assert {row.result_bytes for row in ledger.rows} == {len('{"x":"4 €"}'.encode())}
    assert {row.result_digest for row in ledger.rows} == {digest('{"x":"4 €"}')}
    assert {row.result_tokens for row in ledger.rows} == {block_tokens(results[0], facts_for("claude-sonnet-5-5"))}


@pytest.fixture
async def busy_thread() -> AsyncIterator[Tool]:
    release = threading.Event()

    @tool
    def hold() -> str:
        """Hold a thread."""
        release.wait(30)
        return "let go"

    yield hold
    release.set()


async def test_cancellation_does_not_wait_for_a_thread(busy_thread: Tool):
    ledger = Ledger()
    task = asyncio.create_task(run_tool_calls([use("hold")], offered(busy_thread), turn(ledger)))
    await ledger.until(rows=0, events=1)
    task.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [row.outcome for row in ledger.rows] == ["cancelled"]
