"""Rate limits learned from response headers, on an emulator that counts and refuses as the API does."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import Agent, CallRetried, Concurrency, Event, Prompt, RateLimited, Run, Runtime, Scheduling, workflow
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.prompt_cache import Charge
from agentcache.emulator.rate_limits import RateLimiter, RateLimits
from agentcache.emulator.server import serve
from agentcache.workflow.rate_limits import LearnedLimits, Need

HANDBOOK = "Answer briefly and say where you looked. " * 1800
WORKER = Agent(name="worker", model="claude-sonnet-5-5", prompt=Prompt(static=HANDBOOK))
LOOSE = Agent(name="loose", model="claude-sonnet-5-5", prompt=Prompt(static="Be brief."), cache="off")


class FastClock:
    """The real clock, twenty times as fast, for the emulator and the runtime: a minute is three seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return 1_800_000_000.0 + (time.monotonic() - self._began) * 20

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


@dataclass
class Told:
    refusals: int
    calls: list[Any]


@workflow
async def fan_out(run: Run, agent: Agent[str], inputs: list[str]) -> list[str]:
    return await run.map(agent, inputs)


@asynccontextmanager
async def opened(limits: RateLimits, scheduling: Scheduling, events: list[Event]) -> AsyncIterator[Runtime]:
    clock = FastClock()
    async with (
        serve(lambda request: "ok", api=MessagesApi(rate_limits=limits, seed=uuid4().hex), clock=clock) as emulator,
        Runtime(
            "memory:",
            base_url=emulator.base_url,
            on_event=events.append,
            clock=clock.now,
            sleep=clock.sleep,
            scheduling=scheduling,
        ) as runtime,
    ):
        yield runtime
        answered = {call.message_id for call in await runtime.ledger.calls() if call.message_id}
        assert answered == {line.message_id for line in emulator.statement.lines}


async def told(agent: Agent[Any], inputs: list[str], limits: RateLimits, **settings: Any) -> Told:
    """Fan out and return how often the server refused a call; a run may fail for that, and its refusals count."""
    events: list[Event] = []
    async with opened(limits, Scheduling(**settings), events) as runtime:
        with suppress(RateLimited):
            await runtime.run(fan_out, agent, inputs)
        calls = await runtime.ledger.calls()
    return Told(sum(isinstance(event, CallRetried) for event in events), calls)


def questions(count: int, length: int = 1) -> list[str]:
    return [f"Part {number}? " + "It may be anywhere in the building. " * length for number in range(count)]


@pytest.mark.slow
async def test_calls_wait_for_room_among_the_requests_instead_of_being_refused():
    limits = RateLimits(requests=20)
    learned = await told(LOOSE, questions(40), limits)
    refused = await told(LOOSE, questions(40), limits, rate_limits=False)
    assert learned.refusals < refused.refusals
    assert len(learned.calls) == 40
    assert any("rate_limit" in call.held_s for call in learned.calls)


@pytest.mark.slow
async def test_calls_wait_for_room_among_the_input_tokens():
    limits = RateLimits(input_tokens=10_000)
    four = Concurrency(per_model_default=4)
    learned = await told(LOOSE, questions(16, length=125), limits, concurrency=four)
    refused = await told(LOOSE, questions(16, length=125), limits, concurrency=four, rate_limits=False)
    assert learned.refusals < refused.refusals
    assert len(learned.calls) == 16


async def test_reads_need_no_room_among_the_input_tokens():
    limits = RateLimits(input_tokens=30_000)
    learned = await told(WORKER, questions(32), limits)
    assert learned.refusals == 0
    assert not any("rate_limit" in call.held_s for call in learned.calls)


async def test_unknown_limits_hold_nobody():
    loose = await told(LOOSE, questions(30), RateLimits())
    assert not any(call.held_s for call in loose.calls)


class Play:
    """Sends calls to the emulator's own rate limiter as told by the learned limits, many under way at once."""

    def __init__(self, limits: RateLimits) -> None:
        self.server, self.learned, self.now = RateLimiter(limits), LearnedLimits(), 0.0
        self.learned.heard(200, dict(self.server.headers(0.0)), now=0.0)
        self.under_way: list[tuple[float, int, Need]] = []

    def send(self, tokens: int, answers_after_s: float) -> None:
        """Wait as told, then send; `ApiError` when the server refuses."""
        while (wait_s := self.learned.wait_s(need := self.learned.need(tokens), now=self.now)) > 0:
            # The smallest step that a clock of today can take.
            self._pass(max(wait_s, 1e-6), stop_at_answers=True)
        self.server.admit(self.now)
        self.learned.sent(need)
        heapq.heappush(self.under_way, (self.now + answers_after_s, tokens, need))

    def _pass(self, seconds: float, *, stop_at_answers: bool = False) -> None:
        until = self.now + seconds
        while self.under_way and self.under_way[0][0] <= until:
            self.now, tokens, need = heapq.heappop(self.under_way)
            self.server.count(Charge(plain_tokens=tokens), 7, self.now)
            self.learned.heard(200, dict(self.server.headers(self.now)), now=self.now)
            self.learned.counted(need)
            self.learned.ended(need)
            self.learned.answered(7, heard_at=self.now)
            if stop_at_answers:
                return
        self.now = until

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(seconds)


@given(
    requests=st.integers(2, 30),
    tokens=st.integers(50, 3000),
    calls=st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 400), st.floats(0.1, 8.0)), min_size=1, max_size=40),
)
def test_whoever_waits_as_told_is_never_refused_however_many_are_under_way(
    requests: int, tokens: int, calls: list[tuple[float, int, float]]
):
    """No call is larger than a whole bucket: a bucket in debt says 0, and how deep it is nobody is told."""
    play = Play(RateLimits(requests=requests, input_tokens=tokens))
    for pause_s, size, answers_after_s in calls:
        play.rest(pause_s)
        play.send(min(size, tokens), answers_after_s)
