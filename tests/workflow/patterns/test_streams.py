"""One event stream for everything beneath a run: in order, complete, and gone with the run, wherever it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from agentcache import (
    ApprovalDecided,
    ApprovalRequested,
    CallFinished,
    CallStarted,
    Event,
    FirstToken,
    RunFinished,
    RunStarted,
    ToolFinished,
    ToolStarted,
    agent_tool,
    fork_tool,
    handoff,
    tool,
    workflow,
)
from agentcache.accounting.usage import Usage
from agentcache.workflow.run import Run
from tests.workflow.conftest import Request, Stage, agent, staged
from tests.workflow.patterns.test_patterns import holds

expert = agent(name="expert")


@tool(approval=True)
async def pay(euros: int) -> str:
    """Pay."""
    return f"paid {euros}"


lead = agent(name="lead", tools=[agent_tool(expert, description="Ask."), fork_tool(), pay])
desk = {"front": agent(name="front"), "back": agent(name="back")}


@workflow
async def everything(run: Run) -> str:
    """Nest, fan out, fork a conversation, hand over, ask an agent as tool, fork in mid loop, wait for approval."""
    await run.ask(expert, "Begin.", conversation="c")
    await run.gather(
        inner(run),
        run.map(expert, ["a", "b"], fork_of="c"),
        handoff(run, desk, "help", first="front", conversation="h"),
    )
    return "done"


@workflow
async def inner(run: Run) -> str:
    return await run.ask(lead, "Go.")


def answers(request: Request) -> Any:
    last = request["messages"][-1]["content"]
    if "output_config" in request:
        return holds(request, "back" if len(request["messages"]) == 1 else None)
    if "tools" not in request or last[-1]["type"] == "tool_result" or len(last) > 1:
        return "done"
    return [
        {"type": "tool_use", "name": "expert", "input": {"task": "say it"}},
        {"type": "tool_use", "name": "fork", "input": {"task": "one"}},
        {"type": "tool_use", "name": "pay", "input": {"euros": 5}},
        {"type": "tool_use", "name": "pay", "input": {"euros": 6}},
    ]


async def approve(request: Any) -> bool:
    await asyncio.sleep(0.01)
    return bool(request.arguments == {"euros": 5})


@asynccontextmanager
async def playing() -> AsyncIterator[Stage]:
    async with staged(answers, approve=approve) as on:
        yield on


BEGINS_AND_ENDS: tuple[tuple[type, type, str], ...] = (
    (RunStarted, RunFinished, "run_id"),
    (CallStarted, CallFinished, "call_id"),
    (ToolStarted, ToolFinished, "tool_call_id"),
    (ApprovalRequested, ApprovalDecided, "tool_call_id"),
)


def assert_well_ordered(events: list[Event]) -> None:
    """Every event stands between its run's start and end, every end after its beginning, parents around children."""
    begun: dict[str, str | None] = {}
    ended: set[str] = set()
    for event in events:
        if isinstance(event, RunStarted):
            assert event.parent_run_id is None or event.parent_run_id in begun
            assert event.parent_run_id not in ended
            begun[event.run_id] = event.parent_run_id
        assert event.run_id in begun
        assert event.run_id not in ended
        if isinstance(event, RunFinished):
            assert [run for run, parent in begun.items() if parent == event.run_id and run not in ended] == []
            ended.add(event.run_id)
    for first, last, key in BEGINS_AND_ENDS:
        opened = [getattr(event, key) for event in events if isinstance(event, first)]
        closed = [getattr(event, key) for event in events if isinstance(event, last)]
        assert len(opened) == len(set(opened))
        assert set(closed) <= set(opened)
        for one in closed:
            kinds = [type(event) for event in events if getattr(event, key, None) == one]
            assert kinds.index(first) < kinds.index(last)


async def test_a_stream_of_all_patterns_at_once_is_ordered_and_complete():
    async with playing() as on:
        events = [event async for event in on.runtime.stream(everything)]
        calls, runs = await on.runtime.ledger.calls(), await on.runtime.ledger.runs()
        tools = await on.runtime.ledger.tool_calls()
    assert_well_ordered(events)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].output == "done"
    assert events == on.events
    for first, last, key in BEGINS_AND_ENDS:
        assert {getattr(event, key) for event in events if isinstance(event, first)} == {
            getattr(event, key) for event in events if isinstance(event, last)
        }
    assert {event.call_id for event in events if isinstance(event, CallFinished)} == {call.call_id for call in calls}
    assert {event.run_id: event.parent_run_id for event in events if isinstance(event, RunStarted)} == {
        run.run_id: run.parent_run_id for run in runs
    }
    decided = {event.tool_call_id for event in events if isinstance(event, ApprovalDecided) and not event.approved}
    finished = {event.tool_call_id for event in events if isinstance(event, ToolFinished)}
    assert finished | decided == {row.tool_call_id for row in tools}
    assert len({event.run_id for event in events if isinstance(event, FirstToken)}) > 5
    assert len(events) > 60  # so that every cut below falls within


async def assert_truthful(on: Stage, before: set[asyncio.Task[Any]]) -> None:
    """Hold the ledger of a run that was cut against what was sent and billed; nothing goes on beneath."""
    calls, runs = await on.runtime.ledger.calls(), await on.runtime.ledger.runs()
    lines = {line.message_id: line for line in on.emulator.statement.lines}
    assert all(run.ended_at is not None for run in runs)
    assert {run.status for run in runs} <= {"finished", "cancelled"}
    assert len(calls) >= len(lines)
    for call in calls:
        if call.error is None:
            charge = lines[str(call.message_id)].charge
            assert call.usage is not None
            assert call.usage.cache_read_tokens == charge.read_tokens
            assert call.usage.output_tokens == lines[str(call.message_id)].output_tokens
        else:
            assert call.error == "cancelled"
            assert call.cost_usd is None or call.usage != Usage()
    started = {event.call_id for event in on.told(CallStarted)}
    assert started == {call.call_id for call in calls}
    executed = {event.tool_call_id for event in on.told(ToolStarted)}
    assert executed <= {row.tool_call_id for row in await on.runtime.ledger.tool_calls()}
    assert_well_ordered(on.events)
    assert {event.run_id for event in on.told(RunStarted)} == {event.run_id for event in on.told(RunFinished)}
    sent = len(on.emulator.requests)
    await asyncio.sleep(0.02)
    assert len(on.emulator.requests) == sent
    assert [task for task in asyncio.all_tasks() - before if is_ours(task)] == []


def is_ours(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return any(room in str(code and code.co_filename) for room in ("/agentcache/runtime/", "/agentcache/workflow/"))


@pytest.mark.parametrize("way", ["leave", "cancel"])
@pytest.mark.parametrize("after", [0, 5, 12, 20, 28, 36, 45, 56])
async def test_wherever_a_stream_is_cut_everything_beneath_ends_and_the_ledger_is_true(after, way):
    async with playing() as on:
        before = asyncio.all_tasks()
        await cut(on, after=after, way=way)
        await assert_truthful(on, before)
        assert on.told(RunFinished)[-1].status == "cancelled"


async def cut(on: Stage, *, after: int, way: str) -> None:
    """Take so many events, then leave the loop, or have its task cancelled."""
    reached = asyncio.Event()

    async def listen() -> None:
        taken = 0
        async with aclosing(on.runtime.stream(everything)) as events:
            async for _ in events:
                taken += 1
                if taken > after:
                    reached.set()
                    if way == "leave":
                        return

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(10):
        await reached.wait()
    if way == "cancel":
        listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
