"""Workflows: runs that nest, fan-out that writes a prefix once, failures that take the rest along."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentcache import CallFinished, Refused, Run, RunFinished, workflow
from tests.workflow.conftest import Request, agent


async def test_a_workflow_nests_its_runs_and_sums_them_up(stage):
    @workflow
    async def two_steps(run: Run, topic: str) -> str:
        first = await run.ask(agent(name="one"), topic)
        return await run.ask(agent(name="two"), first)

    async with stage(lambda request: "ok") as on:
        result = await on.runtime.run(two_steps, "tea")
        runs = await on.runtime.ledger.runs()
        calls = await on.runtime.ledger.calls(run_id=result.run_id)
    assert result.output == "ok"
    assert {run.parent_run_id for run in runs if run.agent} == {result.run_id}
    assert result.usage == sum((call.usage for call in calls[1:]), calls[0].usage)


async def test_a_map_keeps_order_and_writes_the_shared_prefix_once(stage):
    @workflow
    async def fan_out(run: Run) -> list[str]:
        return await run.map(agent(), [f"item {n}" for n in range(6)])

    async with stage(lambda request: request["messages"][-1]["content"][-1]["text"].upper()) as on:
        result = await on.runtime.run(fan_out)
        calls = await on.runtime.ledger.calls()
    assert result.output == [f"ITEM {n}" for n in range(6)]
    assert sorted(call.usage.cache_read_tokens > 0 for call in calls) == [False, True, True, True, True, True]


async def test_when_one_of_a_map_fails_the_others_are_cancelled(stage):
    async def script(request: Request) -> Any:
        if "bad" in request["messages"][-1]["content"][-1]["text"]:
            return {"content": [], "stop_reason": "refusal"}
        await asyncio.sleep(30)
        return "late"

    @workflow
    async def fan_out(run: Run) -> list[str]:
        return await run.map(agent(cache="off"), ["slow 1", "bad", "slow 2"])

    async with stage(script) as on:
        with pytest.raises(Refused):
            await on.runtime.run(fan_out)
        calls = await on.runtime.ledger.calls()
    assert sorted(call.error or call.stop_reason for call in calls) == ["cancelled", "cancelled", "refusal"]


async def test_who_is_cancelled_twice_still_ends_as_told_and_in_the_ledger(stage):
    started = asyncio.Event()

    async def slow(request: Request) -> str:
        started.set()
        await asyncio.sleep(30)
        return "late"

    async with stage(slow) as on:
        running = asyncio.create_task(on.runtime.run(agent(), "go"))
        await started.wait()
        for _ in range(20):
            running.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await running
        (run,), (call,) = await on.runtime.ledger.runs(), await on.runtime.ledger.calls()
    assert (run.status, call.error) == ("cancelled", "cancelled")
    assert [event.record for event in on.told(CallFinished)] == [call]
    assert [event.status for event in on.told(RunFinished)] == ["cancelled"]
