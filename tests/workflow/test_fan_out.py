"""Many workers over one prefix, on real sockets: what is written and read, whatever happens to the leader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentcache import Agent, CallFinished, CallHeld, CallRetried, Concurrency, Prompt, Run, Scheduling, workflow
from agentcache.accounting.summary import summarise
from agentcache.accounting.usage import Usage
from agentcache.emulator.faults import Fault, FaultKind, ScheduledFaults
from agentcache.emulator.latency import Latency
from agentcache.prompt.model_facts import facts_for
from agentcache.testing import assert_ledger_equals_statement
from tests.workflow.conftest import Stage, staged

BRISK = Latency(base_s=0.02, output_s_per_token=0.001)
HANDBOOK = "Answer briefly and say where you looked. " * 1800
WORKER = Agent(name="worker", model="claude-sonnet-5-5", prompt=Prompt(static=HANDBOOK))


@workflow
async def fan_out(run: Run, workers: int) -> list[str]:
    return await run.map(WORKER, [f"Part {number}?" for number in range(workers)])


def echo_part(request: dict[str, Any]) -> str:
    return str(request["messages"][-1]["content"][-1]["text"]).replace("?", " is done and found to be in good order.")


async def checked(stage: Stage) -> list[Usage]:
    """Return what the emulator charged for each call, in its order, each equal to a row of the ledger."""
    calls, statement = await stage.runtime.ledger.calls(), stage.emulator.statement
    assert assert_ledger_equals_statement(calls, statement).unknown == 0
    usages = {call.message_id: call.usage for call in calls if call.usage is not None}
    return [usages[line.message_id] for line in statement.lines]


async def followed(stage: Stage, count: int) -> None:
    """Wait until so many calls wait for one leader."""
    leads = stage.runtime._scheduler._leads._by_key
    while not any(len(lead.followers) == count for lead in leads.values()):  # noqa: ASYNC110  # nothing announces it
        await asyncio.sleep(0.005)


def writes(usages: list[Usage]) -> int:
    return sum(usage.cache_write_tokens > 15_000 for usage in usages)


@pytest.mark.parametrize("workers", [8, 64])
async def test_one_worker_writes_the_prefix_and_all_others_read_it(workers: int):
    async def once_all_others_wait(request: dict[str, Any]) -> str:
        if len(on.emulator.requests) == 1:
            await followed(on, workers - 1)
        return echo_part(request)

    async with staged(once_all_others_wait) as on:
        result = await on.runtime.run(fan_out, workers)
        usages = await checked(on)
        calls = await on.runtime.ledger.calls()
    assert len(result.output) == workers
    assert writes(usages) == 1
    assert sum(usage.cache_read_tokens > 15_000 for usage in usages) == workers - 1
    waited = summarise(calls).waiting
    assert waited.held_calls == workers - 1
    prices = facts_for(WORKER.model).prices_for()
    assert prices is not None
    read_tokens = sum(usage.cache_read_tokens for usage in usages)
    assert waited.saved_usd == read_tokens * (prices.write_5m_usd - prices.read_usd) / 1_000_000
    assert {event.call_id for event in on.told(CallHeld)} == {call.call_id for call in calls if call.held_s}


async def test_without_the_scheduler_every_worker_writes_the_prefix():
    async def once_all_came(request: dict[str, Any]) -> str:
        while len(on.emulator.requests) < 8:  # noqa: ASYNC110  # the emulator announces nothing
            await asyncio.sleep(0.005)
        return echo_part(request)

    async with staged(once_all_came, scheduling=None) as on:
        await on.runtime.run(fan_out, 8)
        assert writes(await checked(on)) == 8
        calls = await on.runtime.ledger.calls()
    assert summarise(calls).waiting.held_calls == 0


@pytest.mark.parametrize(("kind", "most_writes"), [("cut", 2), ("reset", 1), ("529", 1), ("malformed", 2)])
async def test_a_leader_that_fails_costs_one_more_write_at_most_and_no_worker(kind: FaultKind, most_writes: int):
    async with staged(echo_part, latency=BRISK, faults=ScheduledFaults([Fault(kind=kind)])) as on:
        result = await on.runtime.run(fan_out, 16)
        usages = await checked(on)
    assert [text.split()[1] for text in result.output] == [str(number) for number in range(16)]
    assert 1 <= writes(usages) <= most_writes
    assert len(on.told(CallRetried)) == 1


async def test_when_the_first_leaders_are_all_killed_the_next_leads():
    faults = ScheduledFaults([Fault(kind="reset")] * 3)
    async with staged(echo_part, latency=BRISK, faults=faults) as on:
        result = await on.runtime.run(fan_out, 8)
        assert writes(await checked(on)) == 1
    assert len(result.output) == 8


async def test_a_slow_leader_delays_the_others_for_half_the_deadline_only():
    slow = ScheduledFaults([Fault(kind="slow", delay_s=2.0)])
    async with staged(echo_part, latency=BRISK, faults=slow, scheduling=Scheduling(deadline_s=1.0)) as on:
        await on.runtime.run(fan_out, 8)
        assert writes(await checked(on)) == 2
        calls = await on.runtime.ledger.calls()
    order = [event.record.call_id for event in on.told(CallFinished)]
    assert order[-1] == min(calls, key=lambda call: call.sent_at).call_id


async def test_no_more_calls_are_under_way_than_a_run_may_have():
    async with staged(echo_part, latency=BRISK, scheduling=Scheduling(concurrency=Concurrency(per_run=3))) as on:
        await on.runtime.run(fan_out, 12)
        await checked(on)
        calls = await on.runtime.ledger.calls()
    assert _most_at_once([(call.sent_at, call.ended_at or 0.0) for call in calls]) == 3
    assert any("concurrency" in (call.held_s or {}) for call in calls)


def _most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(begun <= at < ended for begun, ended in spans) for at, _ in spans)


async def test_a_run_that_is_cancelled_while_its_calls_wait_leaves_nothing_behind():
    slow = Latency(base_s=5.0)
    async with staged(echo_part, latency=slow) as on:
        running, scheduler = asyncio.create_task(on.runtime.run(fan_out, 8)), on.runtime._scheduler
        await followed(on, 7)
        while not on.emulator.requests:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert len(scheduler._leads) == 0
        assert not any(lane.queue or lane.under_way for lane in scheduler._lanes.values())
        calls = await on.runtime.ledger.calls()
    assert [call.error for call in calls] == ["cancelled"]
