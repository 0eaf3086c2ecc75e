"""How many executions of one tool run at once, over all turns, runs and event loops of the process."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.usage import ToolCallRecord
from agentcache.errors import ToolDeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.approval import ApprovalRequest, Decision
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.tool_calls import ToolTurn, call_tool, run_tool_calls
from agentcache.runtime.tools import Tool, tool


class Counted:
    """Counts who is in it, from whatever thread."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


def busy_tool(inside: Counted, *, concurrency: int | None, turns: int = 3) -> Tool:
    @tool(concurrency=concurrency)
    async def busy() -> str:
        """Be busy for some turns of the event loop."""
        with inside:
            for _ in range(turns):
                await asyncio.sleep(0)
        return "done"

    return busy


def turn(
    rows: list[ToolCallRecord], *, memo: ToolMemo | None = None, clock: Callable[[], float] = lambda: 0.0
) -> ToolTurn:
    ids = count(1)

    async def record(row: ToolCallRecord) -> None:
        rows.append(row)

    return ToolTurn(
        run_id="run_1",
        agent="clerk",
        call_id="call_1",
        clock=clock,
        new_id=lambda kind: f"{kind}_{next(ids)}",
        record=record,
        memo=memo,
    )


def use(name: str, number: int = 1, **arguments: str) -> JsonObject:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": dict(arguments.items())}


async def settled() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_no_more_execute_at_once_over_all_turns(concurrency: int):
    inside = Counted()
    rows: list[ToolCallRecord] = []
    busy = busy_tool(inside, concurrency=concurrency)
    turns = [run_tool_calls([use("busy", n) for n in range(4)], {"busy": busy}, turn(rows)) for _ in range(5)]
    await asyncio.gather(*turns)

    assert inside.most == concurrency
    assert Counter(row.outcome for row in rows) == {"ok": 20}


async def test_each_tool_has_places_of_its_own():
    inside = Counted()
    tools = [busy_tool(inside, concurrency=1) for _ in range(3)]
    await asyncio.gather(*(call_tool(each, {}) for each in tools for _ in range(2)))

    assert inside.most == 3


async def test_event_loops_in_several_threads_share_the_places():
    inside = Counted()
    busy = busy_tool(inside, concurrency=2, turns=20)

    async def many() -> list[str]:
        return [result.outcome for result in await asyncio.gather(*(call_tool(busy, {}) for _ in range(20)))]

    outcomes = await asyncio.gather(*(asyncio.to_thread(asyncio.run, many()) for _ in range(4)))

    assert inside.most <= 2
    assert outcomes == [["ok"] * 20] * 4


async def test_who_came_first_is_served_first():
    order: list[str] = []

    @tool(concurrency=1)
    async def serve(who: str) -> str:
        """Serve."""
        order.append(who)
        await asyncio.sleep(0)
        return who

    names = [str(number) for number in range(10)]
    await asyncio.gather(*(call_tool(serve, {"who": name}) for name in names))

    assert order == names


async def test_a_wait_for_a_place_takes_nothing_from_the_time_limit():
    held, let_go = asyncio.Event(), asyncio.Event()

    @tool(concurrency=1)
    async def hold(patient: bool) -> str:
        """Hold the place, or be quick."""
        if patient:
            held.set()
            await let_go.wait()
        return "done"

    holding = asyncio.create_task(call_tool(hold, {"patient": True}))
    await held.wait()
    waiting = asyncio.create_task(call_tool(hold, {"patient": False}, timeout_s=0))  # enough to run, not to wait
    await settled()
    let_go.set()

    assert [(await task).outcome for task in (holding, waiting)] == ["ok", "ok"]


async def test_a_row_begins_when_the_execution_does():
    seconds = count()
    rows: list[ToolCallRecord] = []
    await run_tool_calls(
        [use("busy", n) for n in (1, 2)],
        {"busy": busy_tool(Counted(), concurrency=1)},
        turn(rows, clock=lambda: float(next(seconds))),
    )
    first, second = rows

    assert first.started_at < first.ended_at < second.started_at < second.ended_at


async def test_an_answer_from_the_memo_takes_no_place():
    go = asyncio.Event()

    @tool(concurrency=1, deterministic=True, version="1")
    async def look_up(order: str) -> str:
        """Look an order up."""
        if order == "slow":
            await go.wait()
        return order

    rows: list[ToolCallRecord] = []
    asking = turn(rows, memo=ToolMemo(clock=lambda: 0.0))
    await run_tool_calls([use("look_up", order="17")], {"look_up": look_up}, asking)
    holding = asyncio.create_task(run_tool_calls([use("look_up", order="slow")], {"look_up": look_up}, asking))
    await settled()
    results, _ = await run_tool_calls([use("look_up", order="17")], {"look_up": look_up}, asking)
    go.set()
    await holding

    assert results[0]["content"] == "17"
    assert [row.memo_tier for row in rows] == ["executed", "memory", "executed"]


async def test_a_call_that_waits_for_approval_takes_no_place():
    asked, decide = asyncio.Event(), asyncio.Event()

    class Person:
        async def decide(self, request: ApprovalRequest) -> Decision:
            asked.set()
            await decide.wait()
            return Decision(True)

    @tool(concurrency=1, approval=lambda order: order == "17")
    async def cancel(order: str) -> str:
        """Cancel an order."""
        return f"cancelled {order}"

    asking = replace(turn([]), approver=Person())
    waiting = asyncio.create_task(run_tool_calls([use("cancel", order="17")], {"cancel": cancel}, asking))
    await asked.wait()
    results, _ = await run_tool_calls([use("cancel", order="18")], {"cancel": cancel}, asking)
    decide.set()
    await waiting

    assert results[0]["content"] == "cancelled 18"


async def test_a_call_from_within_the_same_tool_does_not_wait_for_itself():
    @tool(concurrency=1)
    async def count_down(number: int) -> str:
        """Count down."""
        below = await call_tool(count_down, {"number": number - 1}) if number else None
        return f"{number} {'' if below is None else below.content}"

    async with asyncio.timeout(20):
        results = await asyncio.gather(*(call_tool(count_down, {"number": 2}) for _ in range(3)))

    assert [result.content for result in results] == ["2 1 0 "] * 3


async def test_a_thread_left_behind_keeps_its_place_until_it_ends():
    inside, release = Counted(), threading.Event()
    begun: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    @tool(concurrency=1)
    def hold() -> str:
        """Hold a thread."""
        with inside:
            loop.call_soon_threadsafe(begun.put_nowait, None)
            release.wait(30)
        return "let go"

    cancelled = asyncio.create_task(call_tool(hold, {}))
    await begun.get()
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    after = asyncio.create_task(call_tool(hold, {}))
    await settled()
    assert (inside.now, begun.empty(), after.done()) == (1, True, False)
    release.set()

    assert (await after).content == "let go"
    assert inside.most == 1


async def test_a_call_given_up_before_a_thread_was_free_never_begins_and_leaves_its_place():
    release, ran = threading.Event(), []
    loop = asyncio.get_running_loop()
    hoard = [loop.run_in_executor(None, release.wait, 30) for _ in range(64)]  # more than the pool has threads

    @tool(concurrency=1)
    def note(word: str) -> str:
        """Note a word."""
        ran.append(word)
        return word

    given_up = asyncio.create_task(call_tool(note, {"word": "never"}))
    await settled()
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    release.set()
    await asyncio.gather(*hoard)

    assert (await call_tool(note, {"word": "after"})).content == "after"
    assert ran == ["after"]


@settings(max_examples=60, deadline=None)
@given(
    concurrency=st.integers(1, 3),
    plans=st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 15)), max_size=14),
)
async def test_whoever_is_cancelled_whenever_no_place_is_lost_and_none_is_given_twice(
    concurrency: int, plans: list[tuple[int, int | None]]
):
    inside = Counted()
    busy = busy_tool(inside, concurrency=concurrency)

    async def caller(begins: int) -> None:
        for _ in range(begins):
            await asyncio.sleep(0)
        await call_tool(busy, {})

    tasks = [asyncio.create_task(caller(begins)) for begins, _ in plans]
    for moment in range(16):
        for task, (_, cancelled_at) in zip(tasks, plans, strict=True):
            if cancelled_at == moment:
                task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert inside.most <= concurrency

    inside.most = 0
    async with asyncio.timeout(20):
        await asyncio.gather(*(call_tool(busy, {}) for _ in range(concurrency * 2)))
    assert inside.most == concurrency


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
def test_what_is_no_number_of_executions_is_refused_at_declaration(wrong):
    with pytest.raises(
        ToolDeclarationError, match=r"test_tool_places.*concurrency is .*1 or more, or None for no bound"
    ):
        busy_tool(Counted(), concurrency=wrong)
