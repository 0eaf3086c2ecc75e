"""Cancelling a run, at whatever moment: everything beneath it ends, and the ledger says what became of it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentcache import Event, Run, RunFinished, RunStarted, Runtime, ToolFinished, ToolStarted, tool, workflow
from agentcache.accounting.usage import CallRecord, RunStatus
from agentcache.emulator import server as emulator_server
from agentcache.emulator.latency import Latency
from agentcache.emulator.server import Emulator, serve
from agentcache.emulator.statement import StatementLine
from agentcache.runtime.events import CallFinished, CallStarted
from agentcache.testing import assert_ledger_equals_statement
from tests.workflow.conftest import Request, agent

EVENTS = 60
"""At least so many events has a run of `everything` that nobody cancels."""


@tool
async def slowly(number: int) -> str:
    """Take a moment."""
    await asyncio.sleep(0.002)
    return f"{number} done"


@tool
def in_a_thread(number: int) -> str:
    """Count in a thread."""
    return f"{number} counted"


def works(request: Request) -> Any:
    """Ask for both tools at once, then answer."""
    if len(request["messages"]) > 1:
        return "all is done"
    return [{"type": "tool_use", "name": each.name, "input": {"number": 7}} for each in (slowly, in_a_thread)]


CLERK = agent(tools=[slowly, in_a_thread])


@workflow
async def nested(run: Run) -> list[str]:
    return await run.map(CLERK, ["a", "b"], concurrency=1)


@workflow
async def everything(run: Run) -> int:
    first = await run.ask(CLERK, "first")
    answers, below, last = await run.gather(run.map(CLERK, ["one", "two"]), nested(run), run.ask(CLERK, "beside"))
    return len([first, *answers, *below, last])


@dataclass
class Scene:
    """A runtime with its ledger in a file, its emulator, and the server that holds the emulator's connections."""

    runtime: Runtime
    emulator: Emulator
    server: Any
    events: list[Event] = field(default_factory=list)
    cancel_at: int = 0
    task: asyncio.Task[Any] | None = None
    again: bool = False

    def take(self, event: Event) -> None:
        """Keep an event; at the `cancel_at`-th cancel the run, where `again` is set with every later one too."""
        self.events.append(event)
        due = len(self.events) >= self.cancel_at if self.again else len(self.events) == self.cancel_at
        if self.cancel_at and due and self.task is not None:
            self.task.cancel()

    async def cancelled(self, *, at: int, again: bool = False) -> None:
        """Run `everything` and cancel it at its `at`-th event."""
        self.cancel_at, self.again = at, again
        self.task = asyncio.create_task(self.runtime.run(everything))
        with pytest.raises(asyncio.CancelledError):
            await self.task
        self.task = None


@asynccontextmanager
async def scene(where: Path | None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Open a scene whose ledger is a file in `where`, or in memory."""
    servers: list[Any] = []

    class Kept(emulator_server._LoopServer):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            servers.append(self)

    monkeypatch.setattr(emulator_server, "_LoopServer", Kept)
    events: list[Event] = []
    store = "memory:" if where is None else f"sqlite+aiosqlite:///{where / 'ledger.db'}"
    async with serve(works, latency=Latency(base_s=0.001)) as emulator:
        runtime = Runtime(store, base_url=emulator.base_url, on_event=lambda event: on.take(event))
        on = Scene(runtime, emulator, servers[0], events)
        async with runtime:
            yield on
        await until(lambda: not on.server.server_state.connections)


async def until(holds: Any) -> None:
    """Wait until something holds that other tasks of the loop bring about."""
    for _ in range(5000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to hold")


def assert_truthful(calls: list[CallRecord], lines: tuple[StatementLine, ...]) -> None:
    """Check that every charged request has one row, with its usage or an honest `None`, and no row more."""
    assert_ledger_equals_statement(calls, lines)
    unknown = [call for call in calls if call.message_id is None]
    assert all(call.usage is None and call.error == "cancelled" for call in unknown)
    assert len(lines) <= len(calls), "a request without a row"


async def assert_ended(on: Scene) -> None:
    """Check that the ledger has an end for whatever began, as the events told it."""
    runs = await on.runtime.ledger.runs()
    assert {run.status for run in runs} <= {RunStatus.FINISHED, RunStatus.CANCELLED}
    assert all(run.ended_at is not None for run in runs)
    told = {event.run_id: event.status for event in on.events if isinstance(event, RunFinished)}
    assert {event.run_id for event in on.events if isinstance(event, RunStarted)} == told.keys()
    assert {run.run_id: run.status for run in runs if run.run_id in told} == told
    calls, tools = await on.runtime.ledger.calls(), await on.runtime.ledger.tool_calls()
    assert_truthful(calls, on.emulator.statement.lines)
    begun = Counter(type(event).__name__ for event in on.events)
    assert begun[CallStarted.__name__] == begun[CallFinished.__name__] == len(calls)
    assert begun[ToolStarted.__name__] == begun[ToolFinished.__name__] <= len(tools)


def ours_since(running: set[asyncio.Task[object]]) -> list[asyncio.Task[object]]:
    """Return the tasks that were begun since and are not the emulator's, which sees a moment later that we are gone."""
    begun = asyncio.all_tasks() - running
    return [task for task in begun if not any(name in repr(task) for name in ("uvicorn", "EmulatorApp"))]


def our_threads() -> set[str]:
    """Return the threads that are not the event loop's own pool, which lives as long as the loop."""
    return {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


async def test_nobody_cancels_and_all_is_told(tmp_path, monkeypatch):
    async with scene(tmp_path, monkeypatch) as on:
        result = await on.runtime.run(everything)
        assert result.output == 6
        assert len(on.events) > EVENTS
        await assert_ended(on)


@pytest.mark.parametrize("at", range(1, EVENTS, 6))
async def test_a_run_cancelled_at_its_nth_event_ends_with_all_beneath_it(tmp_path, monkeypatch, at):
    before, threads = asyncio.all_tasks(), our_threads()
    async with scene(tmp_path, monkeypatch) as on:
        running = asyncio.all_tasks()
        await on.cancelled(at=at)
        assert ours_since(running) == [], "tasks of the run are left behind"
        await until(lambda: not on.server.server_state.tasks)
        await assert_ended(on)
    assert asyncio.all_tasks() == before
    await until(lambda: our_threads() == threads)


@pytest.mark.parametrize("at", range(2, EVENTS, 11))
async def test_cancelling_again_and_again_hurries_nothing_out_of_the_ledger(tmp_path, monkeypatch, at):
    async with scene(tmp_path, monkeypatch) as on:
        running = asyncio.all_tasks()
        await on.cancelled(at=at, again=True)
        assert ours_since(running) == []
        await until(lambda: not on.server.server_state.tasks)
        await assert_ended(on)


async def test_one_runtime_is_cancelled_at_one_event_after_another_and_still_works(monkeypatch):
    async with scene(None, monkeypatch) as on:
        running, told = asyncio.all_tasks(), 0
        for at in range(1, EVENTS, 3):
            await on.cancelled(at=told + at)
            assert ours_since(running) == []
            told = len(on.events)
        on.cancel_at = 0
        assert (await on.runtime.run(everything)).output == 6
        await until(lambda: not on.server.server_state.tasks)
        await assert_ended(on)
