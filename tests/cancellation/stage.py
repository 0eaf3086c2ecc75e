"""A runtime on an emulator, both in this event loop; runs that are struck at a suspension, and what must hold then."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

from agentcache import Event, RunFinished, RunStarted, Runtime, ToolFinished, ToolStarted
from agentcache.accounting.usage import RunStatus
from agentcache.emulator import server as emulator_server
from agentcache.emulator.faults import Fault
from agentcache.emulator.server import Emulator, serve
from agentcache.runtime.events import CallFinished, CallStarted
from agentcache.testing import assert_ledger_equals_statement
from agentcache.workflow.scheduler import TIMER
from agentcache.workflow.scheduling import Concurrency, Scheduling
from tests.cancellation.suspensions import Due, Moment, Struck, at, from_on, struck

PATIENCE_S = 30.0
"""Whoever waits so long for what a cancelled run held waits for ever."""

SCHEDULING = Scheduling(deadline_s=36_000, concurrency=Concurrency(per_model_default=4))
"""A leader that left its followers waiting, and a place that was not given back, show as a run that never ends."""

WAYS: tuple[tuple[Callable[[int], Due], Moment], ...] = ((at, "asleep"), (at, "waking"), (from_on, "asleep"))
"""Once, while it waits or just as it is woken; or at every suspension from one on, while it cleans up."""

SPREAD = 3
"""By how many suspensions one run differs from the next: threads and sockets are a little faster or slower."""

Chosen: TypeAlias = Callable[[int, int], Collection[int]]
"""Gives the suspensions to strike at, of those that a run surely has and those that it may have."""

Work: TypeAlias = Callable[["Stage", str], Coroutine[Any, Any, Any]]
"""Something to do for a case; the text of a case is in its prompts, and no other case has it."""


class PlannedFaults:
    """What goes wrong with the next calls, to be planned while the emulator serves."""

    def __init__(self) -> None:
        self.next: list[Fault] = []

    def next_fault(self, body: bytes) -> Fault | None:
        return self.next.pop(0) if self.next else None


@dataclass
class Stage:
    """What a scenario works with. `server` holds the emulator's connections."""

    runtime: Runtime
    emulator: Emulator
    server: Any
    faults: PlannedFaults
    folder: Path
    events: list[Event] = field(default_factory=list)

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def quiet(self) -> None:
        """Wait until the emulator is at work on nothing any more."""
        for _ in range(3):
            await asyncio.sleep(0)
        await until(lambda: not self.server.server_state.tasks)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Work that is struck, for each suspension with a case of its own.

    before: what is there already. beside: another run of the same case, which must end as it would alone. holds: what
    must be true afterwards, beyond what holds for all. again: whether the same work is asked again afterwards, which
    must go as if nothing had been.
    """

    name: str
    work: Work
    replies: Callable[[dict[str, Any]], Any]
    before: Work | None = None
    beside: Work | None = None
    holds: Work | None = None
    again: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    latency: Any = None
    needs: Callable[[], object] = bool
    """Skips the test where something is not there."""

    def __str__(self) -> str:
        return self.name


async def brief(seconds: float) -> None:
    """Sleep for a runtime whose pauses between attempts shall be short, and whose long timers shall not ring."""
    await asyncio.sleep(0.0005 if seconds < 60 else seconds)


@asynccontextmanager
async def staged(scenario: Scenario, folder: Path) -> AsyncIterator[Stage]:
    """Open the stage of a scenario, its ledger in a file; when it has closed, nothing may be left of it."""
    scenario.needs()
    servers: list[Any] = []
    original = emulator_server._LoopServer.__init__

    def kept(server: Any, *args: Any) -> None:
        original(server, *args)
        servers.append(server)

    events: list[Event] = []
    faults = PlannedFaults()
    options = {"sleep": brief, "scheduling": SCHEDULING, "keep_text": True, **scenario.options}
    options = {name: value(folder) if callable(value) and name == "memo" else value for name, value in options.items()}
    with patch.object(emulator_server._LoopServer, "__init__", kept):
        async with nothing_left(), serve(scenario.replies, faults=faults, latency=scenario.latency) as emulator:
            runtime = Runtime(str(folder / "ledger.db"), base_url=emulator.base_url, on_event=events.append, **options)
            stage = Stage(runtime, emulator, servers[0], faults, folder, events)
            async with runtime:
                yield stage
            await until(lambda: not stage.server.server_state.connections)


async def until(holds: Callable[[], bool], otherwise: str = "it does not come to hold") -> None:
    """Wait until something holds that others bring about."""
    ends_at = time.monotonic() + PATIENCE_S
    while not holds():  # nothing announces it
        assert time.monotonic() < ends_at, otherwise
        await asyncio.sleep(0.0005)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that tasks, threads and open files are afterwards what they were before."""
    tasks, threads, files = asyncio.all_tasks(), our_threads(), open_files()
    yield
    assert asyncio.all_tasks() <= tasks, "tasks are left"
    # A thread that was told to end, and a socket that was told to close, take a moment.
    await until(lambda: our_threads() <= threads, "threads are left")
    await until(lambda: Counter(open_files()) <= Counter(files), "files are left open")


def our_threads() -> set[threading.Thread]:
    """Return the threads that are not the event loop's own pool, which lives as long as the loop."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def open_files() -> list[str]:
    """Return what this process has open, but for devices and what the event loop itself has."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # that of the listing itself
            continue
        found.append(name.partition(":")[0] if name.startswith("socket:") else name)
    return [name for name in found if not name.startswith(("/dev/", "pipe:", "anon_inode:"))]


async def strike_at(on: Stage, scenario: Scenario, case: str, due: Due, when: Moment = "asleep") -> Struck:
    """Play one case, struck where `due` says, and check all that must hold then."""
    async with asyncio.timeout(PATIENCE_S):
        if scenario.before is not None:
            await scenario.before(on, case)
        await on.quiet()
        since, events, billed = time.time(), len(on.events), len(on.emulator.statement.lines)
        beside = None if scenario.beside is None else asyncio.create_task(scenario.beside(on, case))
        ended = await struck(scenario.work(on, case), due, when=when)
        on.faults.next.clear()
        other = None if beside is None else await beside
        await on.quiet()
    assert ended.cancelled or (not ended.blows and ended.error is None), f"cancelled, and it ended with {ended}"
    left = [task for task in ended.left if task.get_name() != TIMER]  # a lane rests, whoever made it
    assert not left, f"tasks are left: {left}"
    assert beside is None or other is not None
    await assert_books_in_order(on, since, events, billed)
    if scenario.holds is not None:
        await scenario.holds(on, case)
    if scenario.again:
        async with asyncio.timeout(PATIENCE_S):
            assert await scenario.work(on, case) is not None
        on.faults.next.clear()
    return ended


async def assert_books_in_order(on: Stage, since: float, events: int, billed: int) -> None:
    """Check that whatever began since has its end in the ledger and in the events, and every bill its row."""
    ledger = on.runtime.ledger
    runs, calls, tools = await ledger.runs(since=since), await ledger.calls(since=since), await ledger.tool_calls()
    assert all(run.ended_at is not None and run.status is not RunStatus.RUNNING for run in runs)
    lines = on.emulator.statement.lines[billed:]
    assert_ledger_equals_statement(calls, lines)
    unknown = [call for call in calls if call.usage is None]
    assert all(call.error == "cancelled" for call in unknown)
    assert len(lines) <= len(calls), "a request without a row"
    told = on.events[events:]
    count = Counter(type(event) for event in told)
    assert count[RunStarted] == count[RunFinished] <= len(runs)
    assert {event.run_id: event.status for event in told if isinstance(event, RunFinished)}.items() <= {
        run.run_id: run.status for run in runs
    }.items()
    assert count[CallStarted] <= count[CallFinished] == len(calls)
    assert count[ToolStarted] == count[ToolFinished] <= sum(tool.started_at >= since for tool in tools)


async def sweep(on: Stage, scenario: Scenario, chosen: Chosen) -> None:
    """Strike in every way at the chosen suspensions of those that a run has whom nobody strikes."""
    cold = (await strike_at(on, scenario, "nobody", at())).suspensions
    warm = (await strike_at(on, scenario, "nobody again", at())).suspensions
    blows = 0
    for due, when in WAYS:
        for number in chosen(warm - SPREAD, max(cold, warm)):
            way = f"{due.__name__} {number} of {warm}, {when}"
            try:
                blows += (await strike_at(on, scenario, way, due(number), when)).blows
            except BaseException as error:
                error.add_note(f"struck {way}")
                raise
    assert blows, "nothing was ever struck"
