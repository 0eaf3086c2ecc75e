"""A storm: many agents at once do their errands on an account where many calls go wrong, and all is written down.

One share of the errands talks to an emulator in a process of its own, over a real socket; the rest to one in the same
event loop. What must hold afterwards is said in `books.py`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path
from time import monotonic
from unittest.mock import patch

from agentcache import Runtime
from agentcache.accounting.usage import CallRecord, RunRecord
from agentcache.prompt import reuse_history
from agentcache.stores.opening import open_ledger
from tests.chaos.books import (
    Verdict,
    budget_problems,
    by_errand,
    dollars,
    effect_problems,
    ledger_problems,
    left_behind,
    memory_problem,
    run_problems,
    run_row_problems,
)
from tests.chaos.errands import Errand, errand
from tests.chaos.served import Bill, FastClock, Weather, emulated_apart, emulated_here
from tests.chaos.team import journal
from tests.chaos.users import HANG_S, Done, do

Opening = Callable[[Weather, Bill], AbstractAsyncContextManager[str]]
SPEED = 50.0
EACH_S = 5.0
"""Seconds for which each errand may hold up the whole; it takes a hundredth of that on a machine of its own."""
REMEMBERED_BLOCKS = 2000
"""What a planner remembers here, for memory to be flat within one storm: as shipped it forgets after 400,000 blocks."""
HERE_SHARE = 5
"""One errand in so many talks to an emulator in its own event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What to run: errands by number, so many `agents` at once, `rate` the share of calls that go wrong.

    folder: where ledgers are. bound_mib: how much memory may grow from the first fifth of the runs to the last.
    """

    seed: str
    numbers: Sequence[int]
    agents: int
    rate: float
    folder: Path
    bound_mib: float | None = None


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of it."""

    verdict: Verdict = field(default_factory=Verdict)
    bill: Bill = field(default_factory=Bill)
    jobs: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    mib_by_runs: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Share:
    """The errands of one emulator and one runtime."""

    numbers: Sequence[int]
    opening: Opening
    store: Path
    agents: int
    keep_text: bool
    samples: frozenset[int] = frozenset()
    done: dict[int, Done] = field(default_factory=dict)
    bill: Bill = field(default_factory=Bill)


def run_storm(storm: Storm) -> Result:
    """Run a storm in an event loop of its own, and judge it."""
    result = Result()
    asyncio.run(_perform(Storm(seed=storm.seed, numbers=(0,), agents=1, rate=0, folder=storm.folder / "calm"), result))
    resource_tracker.ensure_running()  # what multiprocessing leaves running by itself
    result = Result()
    files = storm.folder / "temporary"
    files.mkdir()
    before = _here_now(files)
    began, standard = monotonic(), tempfile.tempdir
    tempfile.tempdir = str(files)
    try:
        with patch.object(reuse_history, "REMEMBERED_BLOCKS", REMEMBERED_BLOCKS):
            asyncio.run(_perform(storm, result))
    finally:
        tempfile.tempdir = standard
    result.seconds = monotonic() - began
    gc.collect()
    result.verdict.add(None, left_behind(before, _here_now(files)))
    result.verdict.add(None, [f"after the end: tool call {item} was executed late" for item in journal.late])
    journal.late.clear()
    if storm.bound_mib is not None:
        result.verdict.add(None, memory_problem(result.mib_by_runs, bound_mib=storm.bound_mib))
    return result


async def _perform(storm: Storm, result: Result) -> None:
    storm.folder.mkdir(exist_ok=True)
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(_complaint(context)))
    weather = Weather(seed=storm.seed, rate=storm.rate, clock=FastClock(speed=SPEED))
    apart = [number for number in storm.numbers if number % HERE_SHARE]
    here = [number for number in storm.numbers if number % HERE_SHARE == 0]
    shares = [
        _Share(
            numbers=apart,
            opening=emulated_apart,
            store=storm.folder / "apart.db",
            agents=storm.agents,
            keep_text=True,
            samples=frozenset({len(apart) // 5, len(apart)}) if storm.bound_mib is not None else frozenset(),
        ),
        _Share(
            numbers=here,
            opening=emulated_here,
            store=storm.folder / "here.db",
            agents=max(1, storm.agents // HERE_SHARE),
            keep_text=False,
        ),
    ]
    for share in shares:
        if share.numbers:
            longest_s = HANG_S + EACH_S * len(share.numbers)
            try:
                async with asyncio.timeout(longest_s):
                    await _run_share(storm.seed, share, weather, result)
            except TimeoutError:
                result.verdict.add(None, [f"hang: {share.store.stem} was not over and closed after {longest_s:.0f} s"])
                continue
            await _judge(storm.seed, share, result)
    gc.collect()
    result.verdict.add(None, complaints)


def _complaint(context: dict[str, object]) -> str:
    return f"the event loop complains: {context.get('message')}: {context.get('exception')!r} {context}"


async def _run_share(seed: str, share: _Share, weather: Weather, result: Result) -> None:
    waiting = iter(share.numbers)
    clock = weather.clock
    before = asyncio.all_tasks()
    async with (
        share.opening(weather, share.bill) as address,
        Runtime(
            f"sqlite+aiosqlite:///{share.store}",
            base_url=address,
            api_key="none",
            keep_text=share.keep_text,
            on_event=Done.hear,
            clock=clock.now,
            sleep=clock.sleep,
        ) as runtime,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(share.agents):
            group.create_task(_work(seed, waiting, runtime, share, result))
    left = {str(task.get_coro()) for task in asyncio.all_tasks() - before}
    result.verdict.add(None, left_behind({}, {"task": frozenset(left)}))
    result.bill.add(share.bill)


async def _work(seed: str, waiting: Iterator[int], runtime: Runtime, share: _Share, result: Result) -> None:
    for number in waiting:
        planned = errand(seed, number)
        journal.begin(number)
        done = await do(planned, runtime)
        executed = journal.end(number)
        share.done[number] = done
        for attempt in done.attempts:
            result.verdict.add(number, run_problems(attempt))
            result.endings[attempt.ending] += 1
        result.verdict.add(number, effect_problems(planned, done.attempts, executed))
        result.verdict.add(number, done.problems)
        result.jobs[planned.job] += 1
        result.told["side effects"] += executed.total()
        done.attempts.clear()
        if len(share.done) in share.samples:
            result.mib_by_runs[len(share.done)] = resident_mib()


async def _judge(seed: str, share: _Share, result: Result) -> None:
    """Hold the ledger, read anew from its file, against the bill."""
    beside = [path.name for path in share.store.parent.glob(f"{share.store.name}-*")]
    result.verdict.add(None, [f"left behind: file {name} of a closed ledger" for name in beside])
    ledger = await open_ledger(f"sqlite+aiosqlite:///{share.store}")
    try:
        runs, calls = await ledger.runs(), await ledger.calls(text=False)
    finally:
        await ledger.close()
    result.verdict.add(None, run_row_problems(runs))
    roots = {run_id: number for number, done in share.done.items() for run_id in done.roots}
    rows = _rows_by_errand(runs, calls, roots)
    for number, done in share.done.items():
        lines = share.bill.lines.get(number, [])
        planned: Errand = errand(seed, number)
        result.verdict.add(number, ledger_problems(rows.get(number, []), lines))
        result.verdict.add(number, budget_problems(planned.limits, done.begun_calls, lines))
        result.told["calls"] += done.begun_calls
        result.told["retries"] += done.retries
    result.told["runs"] += len(runs)
    result.told["rows"] += len(calls)
    result.told["rows of unknown usage"] += sum(call.usage is None for call in calls)
    result.told["lines billed"] += sum(map(len, share.bill.lines.values()))


def _rows_by_errand(
    runs: Sequence[RunRecord], calls: Sequence[CallRecord], roots: dict[str, int]
) -> dict[int, list[CallRecord]]:
    errands = by_errand(runs, roots)
    rows: dict[int, list[CallRecord]] = {}
    for call in calls:
        rows.setdefault(errands[call.run_id], []).append(call)
    return rows


def resident_mib() -> float:
    """Return this process's resident memory, rubbish collected."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _here_now(temporary: Path) -> dict[str, frozenset[str]]:
    handles = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            handles.add(f"{entry} {os.readlink(f'/proc/self/fd/{entry}')}")
        except FileNotFoundError:  # the handle by which the list was read
            continue
    return {
        "thread": frozenset(f"{thread.name} {thread.ident}" for thread in threading.enumerate()),
        "handle": frozenset(handles),
        "temporary file": frozenset(str(path) for path in temporary.rglob("*")),
    }


def table(storm: Storm, result: Result) -> str:
    """Return the numbers of a storm."""
    told = result.told
    spent = sum((dollars(lines) for lines in result.bill.lines.values()), start=dollars(()))
    memory = ", ".join(f"{mib:.1f} MiB after {count}" for count, mib in sorted(result.mib_by_runs.items()))
    rows = [
        ("seed", storm.seed),
        ("errands", f"{len(storm.numbers):,}, {storm.agents} at once: {_listed(result.jobs)}"),
        ("runs", f"{told['runs']:,} with those nested in them"),
        ("requests", f"{result.bill.calls:,}, {result.bill.faults.total():,} met a fault"),
        ("faults", _listed(result.bill.faults)),
        ("endings", _listed(result.endings)),
        ("calls", f"{told['calls']:,}, {told['retries']:,} retries"),
        ("ledger", f"{told['rows']:,} rows, {told['rows of unknown usage']:,} of unknown usage"),
        ("bill", f"{told['lines billed']:,} lines, ${spent:.4f}"),
        ("side effects", f"{told['side effects']:,}"),
        ("resident", memory or "not looked at"),
        ("duration", f"{result.seconds:.0f} s"),
        ("problems", str(len(result.verdict.problems))),
    ]
    return "\n".join(f"{name:<13} {value}" for name, value in rows)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
