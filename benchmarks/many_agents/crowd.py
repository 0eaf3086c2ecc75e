"""Runs many agents at once in one process of a peer's own environment, and measures that process.

    python crowd.py PLAYER JOB.json

PLAYER is the module in `benchmarks/peers/` (or here) whose `start` makes the agent. The last line on stdout is JSON:
see `measured`. Standard library only, as the player's environment has nothing else of ours.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TICK_S = 0.01
KIB = 1024


class Crowd:
    """What a player sees of the job: a scenario whose tools answer from their arguments."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.base_url: str = job["base_url"]
        self.model: str = job["model"]
        self.system: str = job["system"]
        self.tools: list[dict[str, Any]] = job["tools"]
        self.conversations: list[list[str]] = [["one question"]]
        """One turn each, so that nobody expects another."""

    def result(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return a small result."""
        return f"{tool} {arguments['number']}: packed on Friday, weighed, paid for, and on its way since Monday."

    def advance(self, seconds: float) -> float:
        """Return Unix time: the clock of this benchmark is the real one."""
        return time.time() + seconds


class Ticker:
    """Wakes every 10 ms and notes by how much the event loop was late, in milliseconds."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self.late_ms.append(1000 * (time.perf_counter() - due))


def question(number: int) -> str:
    """Return what agent `number` is told: the session's own part, then the question."""
    facts = (f"order {number * 7 + place} of customer {number} went to berth {place}" for place in range(20))
    return f"You serve customer {number}. {'. '.join(facts)}. Where are the orders of this customer?"


async def crowded(start: Any, crowd: Crowd, job: Mapping[str, Any]) -> dict[str, Any]:
    """Let the agents run and return the measures. A few with another prompt come first: they warm the code up only."""
    errors: list[str] = []

    async def one(opened: Any, number: int) -> None:
        try:
            await opened(number).say(question(number))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is a result of the comparison
            errors.append(f"{type(error).__name__}: {error}"[:300])

    warming = Crowd({**job, "system": f"Warm-up. {job['system']}"})
    async with start(warming, job["settings"]) as opened:
        for number in range(job["warm_up"]):
            await one(opened, number)
    tasks, files = len(asyncio.all_tasks()), _open_files()
    async with start(crowd, job["settings"]) as opened:
        gc.collect()
        before_kib, ticker = _resident_kib(), Ticker()
        ticking = asyncio.create_task(ticker.run())
        cpu_s, waited_s, wall_s = time.process_time(), _waited_s(), time.perf_counter()
        await asyncio.gather(*(one(opened, number) for number in range(job["agents"])))
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        waited_s = _waited_s() - waited_s
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        gc.collect()
        after_kib = _resident_kib()
    await asyncio.sleep(0.1)  # transports close in the loop's next rounds
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "waited_s": waited_s,
        "before_mib": before_kib / KIB,
        "peak_mib": peak_kib / KIB,
        "after_mib": after_kib / KIB,
        "kib_per_agent": (peak_kib - before_kib) / job["agents"],
        "lag_p50_ms": _quantile(ticker.late_ms, 0.5),
        "lag_p99_ms": _quantile(ticker.late_ms, 0.99),
        "lag_max_ms": max(ticker.late_ms, default=0.0),
        "tasks_left": len(asyncio.all_tasks()) - tasks,
        "files_left": _open_files() - files,
        "errors": len(errors),
        "error": errors[0] if errors else None,
    }


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // KIB


def _waited_s() -> float:
    """Return the seconds that the main thread was ready to run and had no core: what others on the machine cost it."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main(player: str, job_file: str) -> None:
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    start = importlib.import_module(player).start
    measured = asyncio.run(crowded(start, Crowd(job), job))
    print(json.dumps({"versions": _versions(job["packages"]), **measured}))


if __name__ == "__main__":
    main(*sys.argv[1:])
