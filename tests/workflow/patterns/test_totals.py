"""However agents are put together, each call counts once: for its agent, for the run, and as it was billed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentcache import Agent, LimitReached, Limits, Run, agent_tool, fork_tool, handoff, tool, vote, workflow
from tests.workflow.account import assert_counted_once
from tests.workflow.conftest import Request, agent, staged

expert = agent(name="expert", model="claude-haiku-5-5")


@tool
async def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: found"


lead = agent(name="lead", tools=[agent_tool(expert, description="Ask the expert."), fork_tool(), look_up])
desk: dict[str, Agent[str]] = {"front": agent(name="front"), "back": agent(name="back")}


def answers(request: Request) -> Any:
    """Play every model: the lead asks expert, forks and a tool at once, a fork looks up, the front hands over."""
    last = request["messages"][-1]["content"]
    if "output_config" in request:
        front = len(request["messages"]) == 1
        held = {"hand_over_to": "back" if front else None, "summary": "", "answer": None if front else "done"}
        return json.dumps(held)
    if "tools" not in request or last[-1]["type"] == "tool_result":
        return "done"
    if any(block["type"] == "tool_result" for block in last):
        return [{"type": "tool_use", "name": "look_up", "input": {"word": "fork"}}]
    return [
        {"type": "tool_use", "name": "expert", "input": {"task": "say it"}},
        {"type": "tool_use", "name": "fork", "input": {"task": "one"}},
        {"type": "tool_use", "name": "fork", "input": {"task": "two"}},
        {"type": "tool_use", "name": "look_up", "input": {"word": "lead"}},
    ]


@workflow
async def inner(run: Run) -> str:
    return await run.ask(lead, "nested")


@workflow
async def together(run: Run, parts: list[str]) -> list[object]:
    """Put the parts together, all at once."""
    await run.ask(expert, "Begin.", conversation="c")
    begun = {
        "nested": lambda: inner(run),
        "parallel": lambda: run.map(expert, ["a", "b", "c"]),
        "forked": lambda: run.map(expert, ["a", "b"], fork_of="c"),
        "voted": lambda: vote(run, expert, "a", samples=3),
        "handed off": lambda: handoff(run, desk, "help", first="front", conversation="h"),
        "with tools": lambda: run.ask(lead, "go"),
    }
    return list(await run.gather(*(begun[part]() for part in parts)))


PARTS = {"nested": 6, "parallel": 3, "forked": 2, "voted": 3, "handed off": 2, "with tools": 6}


@pytest.mark.parametrize("part", PARTS)
async def test_each_way_alone_counts_each_call_once(part):
    async with staged(answers) as on:
        result = await on.runtime.run(together, [part])
        calls = await assert_counted_once(on.runtime, on.emulator, result)
    assert len(calls) == 1 + PARTS[part] + (1 if part in {"nested", "with tools"} else 0)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(set(PARTS) - {"handed off"})), min_size=1, max_size=4))
async def test_all_ways_at_once_count_each_call_once(parts):
    async with staged(answers) as on:
        result = await on.runtime.run(together, parts)
        await assert_counted_once(on.runtime, on.emulator, result)
        runs = {run.run_id: run for run in await on.runtime.ledger.runs()}
    assert [run.run_id for run in runs.values() if run.parent_run_id is None] == [result.run_id]
    assert {run.status for run in runs.values()} == {"finished"}


async def test_a_run_numbers_its_own_calls_and_its_bound_counts_all_beneath_it():
    async with staged(answers) as on:
        with pytest.raises(LimitReached, match="limit of 5 turns"):
            await on.runtime.run(lead, "go", limits=Limits(turns=5))
        own = [call.turn for call in await on.runtime.ledger.calls(agent="expert")]
        await on.runtime.run(lead, "go")
        calls = await on.runtime.ledger.calls()
    by_run: dict[str, list[int]] = {}
    for call in calls:
        by_run.setdefault(call.run_id, []).append(call.turn)
    assert own == [1]
    assert {tuple(turns) for turns in by_run.values()} == {(1,), (1, 2)}
    assert len(calls) == 5 + 7
