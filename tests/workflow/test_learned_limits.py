"""Rate limits learned from response headers, on an emulator that counts and refuses as the API does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from agentcache import Agent, CallRetried, Concurrency, Event, Prompt, RateLimited, Run, Runtime, Scheduling, workflow
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.rate_limits import RateLimits
from agentcache.emulator.server import serve

HANDBOOK = "Answer briefly and say where you looked. " * 1800
WORKER = Agent(name="worker", model="claude-sonnet-5-5", prompt=Prompt(static=HANDBOOK))
LOOSE = Agent(name="loose", model="claude-sonnet-5-5", prompt=Prompt(static="Be brief."), cache="off")


class FastClock:
    """The real clock, forty times as fast, for the emulator and the runtime: a minute is a second and a half."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return 1_800_000_000.0 + (time.monotonic() - self._began) * 40

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 40)


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
        serve(lambda request: "ok", api=MessagesApi(rate_limits=limits), clock=clock) as emulator,
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


async def test_calls_wait_for_room_among_the_requests_instead_of_being_refused():
    limits = RateLimits(requests=20)
    learned = await told(WORKER, questions(30), limits)
    refused = await told(WORKER, questions(30), limits, rate_limits=False)
    assert refused.refusals >= 10
    assert learned.refusals <= refused.refusals / 5
    assert len(learned.calls) == 30
    assert any("rate_limit" in call.held_s for call in learned.calls)


async def test_calls_wait_for_room_among_the_input_tokens():
    limits = RateLimits(input_tokens=10_000)
    four = Concurrency(per_model_default=4)
    learned = await told(LOOSE, questions(16, length=125), limits, concurrency=four)
    refused = await told(LOOSE, questions(16, length=125), limits, concurrency=four, rate_limits=False)
    assert refused.refusals >= 3
    assert learned.refusals <= refused.refusals / 3
    assert len(learned.calls) == 16


async def test_reads_need_no_room_among_the_input_tokens():
    limits = RateLimits(input_tokens=30_000)
    learned = await told(WORKER, questions(32), limits)
    assert learned.refusals == 0
    assert not any("rate_limit" in call.held_s for call in learned.calls)


async def test_unknown_limits_hold_nobody():
    loose = await told(LOOSE, questions(30), RateLimits())
    assert not any(call.held_s for call in loose.calls)
