"""A scheduler with a clock that is moved by hand, and calls that are played through it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.plans import Breakpoint
from agentcache.runtime.admission import CallToSend
from agentcache.runtime.events import RunStarted
from agentcache.workflow.scheduler import ScheduledCall, Scheduler
from agentcache.workflow.scheduling import Scheduling

MODEL = "claude-sonnet-5-5"


def mark(digest: str, ttl: Ttl = "5m", tokens: int = 2000) -> Breakpoint:
    return Breakpoint(
        where="system[0]", block=0, ttl=ttl, prefix_tokens=tokens, prefix_digest=digest, reason="test", origin="policy"
    )


def call(*digests: str, run: str = "run", model: str = MODEL, tokens: int = 2000) -> CallToSend:
    marks = tuple(mark(item, tokens=tokens) for item in digests)
    return CallToSend(run_id=run, model=model, marks=marks, prompt_tokens=tokens + 100)


class HandClock:
    """Stands still until `pass_s`; sleepers wake when their time has come."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now_s + seconds, woken))
        await woken.wait()

    async def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        for due, woken in self._sleepers:
            if due <= self.now_s:
                woken.set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass
class Played:
    """One call on its way: `begin` is its first event, `end` its last, `retry` fails an attempt and makes another.

    The admission says what it was held for.
    """

    name: str
    task: asyncio.Task[None]
    told: asyncio.Queue[str]
    admission: list[ScheduledCall] = field(default_factory=list)

    async def begin(self) -> None:
        self.told.put_nowait("begin")
        await settle()

    async def retry(self) -> None:
        self.told.put_nowait("retry")
        await settle()

    async def end(self) -> None:
        self.told.put_nowait("begin")
        self.told.put_nowait("end")
        await settle()

    async def cancel(self) -> None:
        self.task.cancel()
        await settle()

    def is_under_way(self) -> bool:
        return bool(self.admission) and self.admission[0]._ticket.under_way

    @property
    def held_s(self) -> Mapping[str, float]:
        return self.admission[0].held_s


class Gate:
    """Plays calls through a scheduler and notes the order in which they go out."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock()
        self.scheduler = Scheduler(settings=Scheduling(**settings), clock=self.clock, sleep=self.clock.sleep)
        self.sent: list[str] = []
        self.played: list[Played] = []

    async def play(self, name: str, asked: CallToSend) -> Played:
        told: asyncio.Queue[str] = asyncio.Queue()
        admission: list[ScheduledCall] = []

        async def through() -> None:
            async with self.scheduler.entered(asked) as admitted:
                self.sent.append(name)
                admission.append(admitted)
                while (what := await told.get()) != "end":
                    if what == "begin":
                        admitted.began()
                    else:
                        admitted.failed()
                        await admitted.readmitted()

        played = Played(name, asyncio.create_task(through()), told, admission)
        self.played.append(played)
        await settle()
        return played

    def nest(self, run: str, below: str | None = None) -> None:
        """Tell the scheduler that a run began."""
        self.scheduler.take(RunStarted(run_id=run, agent=None, at=0.0, name=run, parent_run_id=below))

    async def end_all(self) -> None:
        for played in self.played:
            await played.end()
        await self.scheduler.aclose()
        await asyncio.gather(*(played.task for played in self.played), return_exceptions=True)

    def traces(self) -> list[object]:
        """Return what the scheduler still holds of calls: nothing when all have left."""
        held = self.scheduler
        lanes = [lane for lane in held._lanes.values() if lane.queue or lane.under_way or lane.timer]
        return [*lanes, *held._leads._by_key, *held._runs_under_way, *held._timers]
