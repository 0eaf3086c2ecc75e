"""Forks send what their parent sent, byte for byte, read all of it, and change nothing for the parent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentcache import Limits, Notice, Run, Runtime, SettingsError, ToolFinished, agent_tool, fork_tool, tool, workflow
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import serve
from agentcache.runtime.fork_point import PLACEHOLDER, current_fork_point
from tests.workflow.conftest import RULES, Request, agent, staged

reader = agent(name="reader")


def unmarked(request: Request) -> dict[str, Any]:
    """Return a request without its breakpoints."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items() if name != "cache_control"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = plain(request)
    return found


def asks(request: Request) -> str:
    return str(request["messages"][-1]["content"][-1].get("text", ""))


@workflow
async def forked(run: Run) -> list[str]:
    await run.ask(reader, "Read this.", conversation="c")
    outputs = await run.map(reader, ["one", "two", "three"], fork_of="c")
    return [*outputs, await run.ask(reader, "And now?", conversation="c")]


async def test_forks_at_once_read_the_whole_prefix_of_their_parent_which_was_written_once():
    async with staged(lambda request: f"to {asks(request)}") as on:
        result = await on.runtime.run(forked)
        first, *others = await on.runtime.ledger.calls()
    assert result.output == ["to one", "to two", "to three", "to And now?"]
    assert first.usage.cache_read_tokens == 0
    assert {call.usage.cache_read_tokens for call in others} == {first.usage.cache_write_tokens}
    assert [call.usage.cache_write_tokens for call in others[:3]] == [0, 0, 0]


async def test_forks_at_once_of_a_history_that_ran_out_write_it_once():
    clock = VirtualClock()

    @workflow
    async def asked(run: Run) -> list[str]:
        return await run.map(reader, ["one", "two", "three"], fork_of="c")

    async with (
        serve(lambda request: "ok", clock=clock) as emulator,
        Runtime("memory:", base_url=emulator.base_url, clock=clock.now) as runtime,
    ):
        await runtime.run(reader, RULES * 3, conversation="c")
        await clock.advance(3600)
        await runtime.run(asked)
        first, *forks = await runtime.ledger.calls()
    history = first.usage.cache_write_tokens
    assert sum(fork.usage.cache_write_tokens > history for fork in forks) == 1
    one, other, third = sorted(fork.usage.cache_read_tokens for fork in forks)
    assert (one, other) == (0, third)
    assert other >= history


async def test_forks_leave_their_conversation_as_it_was():
    async with staged(lambda request: "ok") as on:
        await on.runtime.run(forked)
        parent, *forks, last = [unmarked(request) for request in on.emulator.requests]
    history = last["messages"][:2]
    assert history[:1] == parent["messages"]
    assert [asks(request) for request in (*forks, last)] == ["one", "two", "three", "And now?"]
    for request in (*forks, last):
        assert request["messages"][:2] == history
        assert len(request["messages"]) == 3
        assert (request["system"], request["model"]) == (parent["system"], parent["model"])


async def test_a_conversation_is_forked_in_another_process_from_what_was_stored(tmp_path):
    store = f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
    async with staged(lambda request: "ok", store=store, keep_text=True) as on:
        await on.runtime.run(reader, "Read this.", conversation="c")
    async with staged(lambda request: str(len(request["messages"])), store=store, keep_text=True) as on:
        assert (await on.runtime.run(reader, "one", fork_of="c")).output == "3"
        assert (await on.runtime.run(reader, "two", conversation="c")).output == "3"


async def test_a_fork_does_not_wait_for_a_run_of_its_conversation():
    going, may_end = asyncio.Event(), asyncio.Event()

    async def script(request: Request) -> str:
        if asks(request) == "slow":
            going.set()
            await may_end.wait()
        return str(len(request["messages"]))

    async with staged(script) as on:
        await on.runtime.run(reader, "Read this.", conversation="c")
        slow = asyncio.create_task(on.runtime.run(reader, "slow", conversation="c"))
        await going.wait()
        fork = await on.runtime.run(agent(name="reader", cache="off"), "quick", fork_of="c")
        may_end.set()
        assert (fork.output, (await slow).output) == ("3", "3")


async def test_there_is_nothing_to_fork_in_a_conversation_that_nobody_began():
    async with staged(lambda request: "ok") as on:
        with pytest.raises(SettingsError, match="'c' has no history to fork"):
            await on.runtime.run(reader, "one", fork_of="c")
        with pytest.raises(SettingsError, match="leave out `conversation`"):
            await on.runtime.run(reader, "one", fork_of="c", conversation="d")
    assert on.emulator.requests == []


@tool
async def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: found"


lead = agent(name="lead", tools=[fork_tool(limits=Limits(turns=4)), look_up], thinking="adaptive")


def forks_two(request: Request) -> Any:
    """The lead has two forks and a tool; each fork uses the tool, tries to fork, and answers with what it was told."""
    last = request["messages"][-1]["content"]
    if last[-1]["type"] == "text" and len(last) == 1:
        return [
            {"type": "text", "text": "Two tasks."},
            {"type": "tool_use", "name": "fork", "input": {"task": "one"}},
            {"type": "tool_use", "name": "look_up", "input": {"word": "lead"}},
            {"type": "tool_use", "name": "fork", "input": {"task": "two"}},
        ]
    if last[-1]["type"] == "text":
        return [{"type": "tool_use", "name": "fork", "input": {"task": "deeper"}}]
    return " | ".join(str(block["content"]) for block in last)


async def test_sub_agents_continue_their_parents_exact_prefix_and_read_it():
    async with staged(forks_two, strict=True) as on:
        result = await on.runtime.run(lead, "Go.")
        parent, *rest = [unmarked(request) for request in on.emulator.requests]
        calls = await on.runtime.ledger.calls()
    begun = [request for request in rest if request["messages"][-1]["content"][-1]["type"] == "text"]
    assert len(begun) == 2
    for request in begun:
        asked, (turn, task) = request["messages"][:1], request["messages"][1:]
        assert {**request, "messages": asked} == parent
        assert [block["type"] for block in turn["content"]] == ["text", "tool_use", "tool_use", "tool_use"]
        pending = [block["id"] for block in turn["content"][1:]]
        assert [(block["tool_use_id"], block["content"]) for block in task["content"][:3]] == [
            (tool_use_id, PLACEHOLDER) for tool_use_id in pending
        ]
    assert sorted(request["messages"][-1]["content"][-1]["text"][-3:] for request in begun) == ["one", "two"]
    assert calls[0].usage.cache_read_tokens == 0
    assert min(call.usage.cache_read_tokens for call in calls[1:]) == calls[0].usage.cache_write_tokens
    assert result.output.count("sub-agent already") == 2
    assert [event for event in on.told(Notice) if event.code in {"prefix_moved", "tool_error"}] == []


async def test_a_fork_that_forks_is_told_in_words_and_its_tools_stay():
    async with staged(forks_two) as on:
        await on.runtime.run(lead, "Go.")
        runs = await on.runtime.ledger.runs()
        tools = {str(unmarked(request)["tools"]) for request in on.emulator.requests}
        outcomes = [event.outcome for event in on.told(ToolFinished) if event.tool == "fork"]
    assert len(runs) == 3
    assert len(tools) == 1
    assert sorted(outcomes) == ["error", "error", "ok", "ok"]


async def test_a_fork_without_a_task_or_an_answer_is_told_to_the_parent():
    def script(request: Request) -> Any:
        last = request["messages"][-1]["content"]
        if last[-1]["type"] == "text" and len(last) == 1:
            return [{"type": "tool_use", "name": "fork", "input": given} for given in ({}, {"task": "one"})]
        if last[-1]["type"] == "text":
            return {"content": [], "stop_reason": "refusal"}
        return " | ".join(str(block["content"]) for block in last)

    async with staged(script) as on:
        result = await on.runtime.run(lead, "Go.")
    assert "task: a text" in result.output
    assert "the sub-agent gave no answer: lead: the model declined" in result.output


async def test_a_sub_agent_keeps_the_parents_output_type_and_session():
    asked = agent(name="lead", tools=[fork_tool()], output=int)

    def script(request: Request) -> Any:
        last = request["messages"][-1]["content"]
        if last[-1]["type"] == "text" and len(last) == 1:
            return [{"type": "tool_use", "name": "fork", "input": {"task": "one"}}]
        return '{"value": 7}' if last[-1]["type"] == "text" else f'{{"value": {last[0]["content"]}0}}'

    async with staged(script) as on:
        result = await on.runtime.run(asked, "Go.")
        formats = {str(request["output_config"]) for request in on.emulator.requests}
    assert result.output == 70
    assert len(formats) == 1


async def test_an_agent_that_is_asked_by_a_fork_forks_by_itself():
    inner = agent(name="inner", tools=[fork_tool()])
    outer = agent(name="outer", tools=[fork_tool(), agent_tool(inner, description="Ask.")])

    def script(request: Request) -> Any:
        last, is_outer = request["messages"][-1]["content"], len(request["tools"]) == 2
        if last[-1]["type"] == "tool_result":
            return "done"
        if is_outer and len(last) > 1:
            return [{"type": "tool_use", "name": "inner", "input": {"task": "x"}}]
        return "inner fork" if len(last) > 1 else [{"type": "tool_use", "name": "fork", "input": {"task": "x"}}]

    async with staged(script) as on:
        await on.runtime.run(outer, "Go.")
        runs = {run.run_id: run for run in await on.runtime.ledger.runs()}
    path = [run.name for run in runs.values()]
    assert path == ["outer", "outer", "inner", "inner"]


def test_outside_of_a_tool_there_is_nothing_to_fork():
    with pytest.raises(SettingsError, match="nothing to fork"):
        current_fork_point()
