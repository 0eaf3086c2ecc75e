"""Keep-alive: what is likely to be asked for again is read before it expires, within a budget, and never for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentcache import CallRejected, Limits, Notice, Runtime, SettingsError, tool
from agentcache.accounting.usage import CallKind, CallRecord
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import serve
from agentcache.prompt.keep_alive import due_after_s
from agentcache.prompt.reuse_history import PastCall
from agentcache.runtime.client import MessagesClient
from agentcache.workflow.keep_warm import Allowance, KeepAlive, is_hit
from tests.workflow.conftest import Stage, agent

ROOMY = KeepAlive(usd=1, pings=10, threshold_tokens=0)


@asynccontextmanager
async def stage(
    script: Any = lambda request: "ok", *, keep_alive: KeepAlive | None = ROOMY, learned: bool = True, **served: Any
) -> AsyncIterator[Stage]:
    """Open emulator and runtime on one clock; `learned`: the clerk is often silent and then comes back."""
    clock = VirtualClock()
    events: list[Any] = []
    async with (
        serve(script, clock=clock, **served) as emulator,
        Runtime(
            "memory:",
            base_url=emulator.base_url,
            on_event=events.append,
            keep_alive=keep_alive,
            clock=clock.now,
            sleep=clock.sleep,
        ) as runtime,
    ):
        if learned:
            runtime._runner.calls.history.learn(long_silences(clock.now()))
        yield Stage(runtime, emulator, events)


def long_silences(now: float) -> list[PastCall]:
    """Return calls of 40 conversations: ten soon after one another, then a silence of nine minutes or of fourteen."""
    calls = []
    for number in range(40):
        pause_s = 540 if number % 2 else 840
        times = [now - 6000 + part * (90 + pause_s) + place * 10 for part in range(4) for place in range(10)]
        calls += [PastCall(line=f"c{number}", agent="clerk", opens=True, at_s=at_s, marks=()) for at_s in times]
    return sorted(calls, key=lambda call: call.at_s)


async def passes(on: Stage, *steps_s: float) -> None:
    """Let time pass step by step, and whatever is due be read to its end."""

    def is_due(silence: Any) -> bool:
        return bool(silence.reading) or silence.live_from + due_after_s(silence.point) <= on.emulator.clock.now()

    for step_s in steps_s:
        await on.emulator.advance(step_s)
        await until(lambda: not any(map(is_due, on.runtime._keep_warm._silences.values())))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # nothing announces that a background task went back to sleep
        await asyncio.sleep(0.002)


async def pings(on: Stage) -> list[CallRecord]:
    return [call for call in await on.runtime.ledger.calls() if call.kind is CallKind.KEEP_ALIVE]


async def test_a_conversation_that_comes_back_late_reads_what_it_would_have_written_anew():
    async with stage() as on:
        first = await on.runtime.run(agent(), "one", conversation="c")
        await passes(on, 291, 290)
        second = await on.runtime.run(agent(), "two", conversation="c")
        kept = await pings(on)
    written = first.usage.cache_write_tokens
    assert [(row.usage.cache_read_tokens, row.usage.output_tokens, is_hit(row)) for row in kept] == [
        (written, 0, True)
    ] * 2
    assert second.usage.cache_read_tokens == written


async def test_a_ping_is_the_last_request_again_without_an_answer():
    async with stage() as on:
        await on.runtime.run(agent(), "one", conversation="c")
        await passes(on, 291)
        real, ping = on.emulator.requests
    assert ping == {**{key: value for key, value in real.items() if key != "stream"}, "max_tokens": 0}


async def test_without_keep_alive_nothing_is_kept():
    async with stage(keep_alive=None) as on:
        await on.runtime.run(agent(), "one", conversation="c")
        await on.emulator.advance(291)
        assert len(await on.runtime.ledger.calls()) == 1


async def test_where_nobody_is_known_to_come_back_late_nothing_is_kept():
    async with stage(learned=False) as on:
        await on.runtime.run(agent(), "one", conversation="c")
        await passes(on, 291)
        assert await pings(on) == []


async def test_a_run_that_ended_and_is_no_conversation_is_never_kept():
    async with stage() as on:
        await on.runtime.run(agent(), "one")
        await passes(on, 291)
        assert await pings(on) == []
        assert [line.closed for line in on.runtime._runner.calls.history._tails.lines[0].values()] == [True]


async def test_a_run_that_waits_for_a_long_tool_is_kept_and_pays_for_it():
    done = asyncio.Event()

    @tool
    async def approve() -> str:
        """Ask somebody to approve."""
        await done.wait()
        return "approved"

    def script(request: Any) -> Any:
        return "thanks" if len(request["messages"]) > 1 else [{"type": "tool_use", "name": "approve", "input": {}}]

    async with stage(script) as on:
        run = asyncio.create_task(on.runtime.run(agent(tools=[approve]), "go"))
        await until(lambda: bool(on.runtime._keep_warm._silences))
        await passes(on, 291, 200)
        done.set()
        result = await run
        rows = await on.runtime.ledger.calls(run_id=result.run_id)
    assert [row.kind for row in rows] == [CallKind.MESSAGE, CallKind.KEEP_ALIVE, CallKind.MESSAGE]
    assert rows[2].usage.cache_read_tokens == rows[0].usage.cache_write_tokens
    assert result.cost_usd == sum(row.cost_usd or 0 for row in rows)


async def test_the_next_call_begins_another_silence():
    clerk = agent(cache="layers")  # `auto` would write the second prompt for the hour, which needs no keep-alive
    async with stage() as on:
        await on.runtime.run(clerk, "one", conversation="c")
        await passes(on, 200)
        await on.runtime.run(clerk, "two", conversation="c")
        await passes(on, 100)
        assert await pings(on) == []
        await passes(on, 191)
        assert len(await pings(on)) == 1


@pytest.mark.parametrize(
    ("bounds", "made", "told"),
    [
        (KeepAlive(usd=1, pings=1, threshold_tokens=0), 1, ["keep_alive_budget"]),
        (KeepAlive(usd="0.000001", threshold_tokens=0), 0, ["keep_alive_budget"]),
        (KeepAlive(usd=1, threshold_tokens=50_000), 0, []),
    ],
)
async def test_bounds_hold(bounds, made, told):
    async with stage(keep_alive=bounds) as on:
        await on.runtime.run(agent(), "one", conversation="c")
        await passes(on, 291, 290)
        assert len(await pings(on)) == made
        assert [event.code for event in on.told(Notice)] == told


@pytest.mark.parametrize(("usd", "made", "told"), [("0.05", 1, []), ("0.0075", 0, ["keep_alive_budget"])])
async def test_a_read_must_fit_the_bounds_of_the_run_that_it_keeps_alive(usd, made, told):
    async with stage() as on:
        await on.runtime.run(agent(max_tokens=100), "one", conversation="c", limits=Limits(usd=usd))
        await passes(on, 291)
        paid = [call.cost_usd or Decimal(0) for call in await on.runtime.ledger.calls()]
        assert len(await pings(on)) == made
        assert [event.code for event in on.told(Notice)] == told
    assert sum(paid) <= Decimal(usd)


async def test_a_read_that_finds_nothing_is_told_and_is_the_last_one():
    async with stage() as on:
        await on.runtime.run(agent(), "one", conversation="c")
        on.emulator.reset()
        await passes(on, 291, 290)
        (row,) = await pings(on)
        assert not is_hit(row)
        assert [event.code for event in on.told(Notice)] == ["keep_alive_missed"]


async def test_a_read_that_fails_is_told_and_is_the_last_one():
    class Refusing(MessagesClient):
        async def send(self, request: Any, **told: Any) -> Any:
            raise CallRejected("not now", status=400)

    async with stage() as on, Refusing(base_url=on.emulator.base_url, api_key="x") as refusing:
        await on.runtime.run(agent(), "one", conversation="c")
        on.runtime._runner.calls.caller.client = refusing
        await passes(on, 291, 290)
        (row,) = await pings(on)
        assert row.error is not None
        assert [event.code for event in on.told(Notice)] == ["keep_alive_failed"]


async def test_what_the_api_would_refuse_is_not_asked_for():
    class Verdict(BaseModel):
        sound: bool

    async with stage(lambda request: '{"sound": true}') as on:
        await on.runtime.run(agent(output=Verdict), "one", conversation="c")
        await passes(on, 291)
        assert len(await on.runtime.ledger.calls()) == 1


async def test_closing_the_runtime_ends_every_silence():
    async with stage() as on:
        await on.runtime.run(agent(), "one", conversation="c")
        (silence,) = on.runtime._keep_warm._silences.values()
    assert silence.task.cancelled()
    assert not on.runtime._keep_warm._tasks


def test_a_bound_below_zero_is_refused():
    for bounds in ({"usd": -1}, {"usd": 1, "pings": -1}, {"usd": "a lot"}, {"usd": "NaN"}):
        with pytest.raises(SettingsError):
            KeepAlive(**bounds)


amounts = st.decimals(min_value=0, max_value=1, places=4)


@given(usd=amounts, pings=st.integers(0, 8), reads=st.lists(st.tuples(amounts, st.none() | amounts, st.booleans())))
def test_reads_never_exceed_the_budget(usd, pings, reads):
    allowance, paid, made, open_reads = Allowance(usd=usd, pings=pings), Decimal(0), 0, []
    for worst, really, at_once in reads:
        if allowance.admit(worst):
            made += 1
            open_reads.append((worst, None if really is None else min(worst, really)))
        if at_once:
            for reserved, cost in open_reads:
                allowance.settle(reserved, cost)
                paid += reserved if cost is None else cost
            open_reads.clear()
    assert made <= pings
    assert paid + sum(worst for worst, _ in open_reads) <= usd
