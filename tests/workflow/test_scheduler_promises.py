"""Whatever happens to calls, the scheduler keeps its bounds, loses none and keeps nothing of those that left."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.workflow.scheduling import Concurrency
from tests.workflow.gate import Gate, Played, call

Step: TypeAlias = tuple[str, int, str, str]
"""What happens, to which call (or for how many seconds), and for a new call its run and its prefix."""

KINDS = ["play", "play", "play", "begin", "end", "cancel", "retry", "refuse", "pass"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.integers(0, 9), st.sampled_from(["r", "s", "t"]), st.sampled_from(["p", "q", ""])
    ),
    min_size=15,
    max_size=60,
)
PER_MODEL, PER_RUN = 3, 2


class Story:
    """Plays steps and checks the bounds after each."""

    def __init__(self) -> None:
        self.gate = Gate(deadline_s=8.0, concurrency=Concurrency(per_model_default=PER_MODEL, per_run=PER_RUN))
        self.cancelled: set[str] = set()
        self.runs: dict[str, str] = {}

    async def take(self, step: Step) -> None:
        kind, number, run, digest = step
        if kind == "play":
            name = f"call {len(self.gate.played)}"
            self.runs[name] = run
            await self.gate.play(name, call(*([digest] if digest else []), run=run))
        elif kind == "pass":
            await self.gate.clock.pass_s(float(number))
        elif number < len(self.gate.played):
            await self._happen(kind, self.gate.played[number])
        self._check()

    async def _happen(self, kind: str, played: Played) -> None:
        if kind == "begin":
            await played.begin()
        elif kind == "end":
            await played.end()
        elif kind == "cancel":
            if not played.task.done():
                self.cancelled.add(played.name)
            await played.cancel()
        elif kind == "retry":
            await played.retry()
        elif played.is_under_way():
            played.admission[0].responded(429, {"retry-after": "3"})

    def _check(self) -> None:
        under_way = [played.name for played in self.gate.played if played.is_under_way()]
        assert len(under_way) <= PER_MODEL
        assert all(count <= PER_RUN for count in Counter(self.runs[name] for name in under_way).values())

    async def finish(self) -> None:
        """Let everything end; every call that was not cancelled must have been sent."""
        for played in self.gate.played:
            await played.end()
        for _ in self.gate.played:
            await self.gate.clock.pass_s(10.0)
        await self.gate.scheduler.aclose()
        assert all(played.task.done() for played in self.gate.played)
        assert {played.name for played in self.gate.played} - self.cancelled <= set(self.gate.sent)
        assert not self.gate.traces()


@given(steps=STEPS)
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_bounds_hold_no_call_is_lost_and_nothing_is_left(steps: list[Step]):
    async def play() -> None:
        story = Story()
        for step in steps:
            await story.take(step)
        await story.finish()

    asyncio.run(play())
