"""Kept results in whole runs: what the model is sent, how often a tool is executed, and a store that stops."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentcache import Memo, Run, Runtime, SettingsError, tool, workflow
from tests.stores.redis_server import OwnRedis, own_redis
from tests.workflow.conftest import Request, agent

executions: Counter[str] = Counter()


@tool(deterministic=True, version="1")
async def find_order(order_id: str) -> dict[str, object]:
    """Look an order up."""
    executions[order_id] += 1
    await asyncio.sleep(0.05)
    return {"order": order_id, "é": 1.0, "asked": executions[order_id]}


@tool(memo=Memo(tags=["note:{name}"]), version="1")
async def read_note(name: str) -> str:
    """Read a note."""
    executions[f"read {name}"] += 1
    return f"{name} as read {executions[f'read {name}']} times"


@tool(invalidates=["note:{name}"])
async def write_note(name: str, text: str) -> str:
    """Write a note."""
    return text


def results(request: Request) -> list[dict[str, Any]]:
    return [
        block
        for message in request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


def use(name: str, /, **arguments: str) -> dict[str, Any]:
    return {"type": "tool_use", "name": name, "input": arguments}


def looks_up(request: Request) -> str | list[dict[str, Any]]:
    """Ask for the order that the question names, then say what the tool answered."""
    found = results(request)
    if found:
        return str(found[-1]["content"])
    return [use("find_order", order_id=str(request["messages"][0]["content"][-1]["text"]))]


async def test_a_hit_is_sent_as_the_same_bytes_as_the_first_result(stage, tmp_path: Path):
    executions.clear()
    clerk = agent(tools=[find_order])
    sent = []
    for _ in range(2):  # the second runtime finds it in the file, as its third run does in memory
        async with stage(looks_up, memo=str(tmp_path / "memo.db")) as on:
            for _ in range(2):
                await on.runtime.run(clerk, "17")
            sent += [
                json.dumps({**block, "tool_use_id": ""}) for each in on.emulator.requests for block in results(each)
            ]
            counts = on.runtime.memo.statistics()["find_order"]
    assert executions == {"17": 1}
    assert len(sent) == 4
    assert len(set(sent)) == 1
    assert (counts.sqlite, counts.memory) == (1, 1)


async def test_a_hundred_agents_that_ask_at_once_execute_a_tool_once(stage):
    executions.clear()
    clerk = agent(tools=[find_order])

    @workflow
    async def crowd(run: Run) -> list[str]:
        return list(await run.map(clerk, ["17"] * 100, concurrency=100))

    async with stage(looks_up, scheduling=None) as on:
        answered = await on.runtime.run(crowd)
        counts = on.runtime.memo.statistics()["find_order"]
    assert executions == {"17": 1}
    assert set(answered.output) == {'{"asked":1,"order":"17","é":1.0}'}
    assert (counts.calls, counts.misses, counts.shared + counts.memory) == (100, 1, 99)


async def test_an_edit_drops_what_was_read_of_the_same_thing(stage):
    executions.clear()
    turns = [
        [use("read_note", name="a"), use("read_note", name="b")],
        [use("write_note", name="a", text="new")],
        [use("read_note", name="a"), use("read_note", name="b")],
        "done",
    ]

    def reply(request: Request) -> Any:
        return turns[sum(message["role"] == "assistant" for message in request["messages"])]

    async with stage(reply) as on:
        await on.runtime.run(agent(tools=[read_note, write_note]), "Go.")
        contents = [block["content"] for block in results(on.emulator.requests[-1])]
    assert contents == ["a as read 1 times", "b as read 1 times", "new", "a as read 2 times", "b as read 1 times"]


async def test_a_redis_that_stops_in_the_middle_of_a_run_changes_no_answer(stage, tmp_path: Path):
    executions.clear()
    with own_redis(tmp_path) as server:
        clerk = agent(tools=[find_order, stopping(server)])

        def reply(request: Request) -> Any:
            turn = sum(message["role"] == "assistant" for message in request["messages"])
            orders = [use("find_order", order_id=str(number)) for number in (1, 2)]
            return [orders, [use("stop_redis")], [*orders, use("find_order", order_id="3")], "done"][turn]

        async with stage(reply, memo=server.url) as on:
            result = await on.runtime.run(clerk, "Go.")
            contents = [block["content"] for block in results(on.emulator.requests[-1])]
            counts = on.runtime.memo.statistics()["find_order"]
    assert result.output == "done"
    assert [json.loads(text)["order"] for text in [*contents[:2], *contents[3:]]] == ["1", "2", "1", "2", "3"]
    assert contents[:2] == contents[3:5]
    assert executions == {"1": 1, "2": 1, "3": 1}
    assert (counts.calls, counts.misses, counts.memory, counts.degraded) == (5, 3, 2, 1)


def stopping(server: OwnRedis) -> Any:
    @tool(name="stop_redis")
    def stop() -> str:
        """Stop the server."""
        server.stop()
        return "stopped"

    return stop


async def test_results_of_a_run_are_shared_below_it_and_not_beyond(stage):
    executions.clear()
    mine = tool(find_order.original, memo=Memo(scope="run"), version="1")
    clerk = agent(tools=[mine])

    @workflow
    async def twice(run: Run) -> list[str]:
        return [await run.ask(clerk, "17"), await run.ask(clerk, "17")]

    async with stage(looks_up) as on:
        first = await on.runtime.run(twice)
        second = await on.runtime.run(twice)
    assert executions == {"17": 2}
    assert first.output[0] == first.output[1] != second.output[0] == second.output[1]


async def test_results_of_a_conversation_stay_in_it(stage):
    executions.clear()
    mine = tool(find_order.original, memo=Memo(scope="conversation"), version="1")

    def always(request: Request) -> Any:
        if request["messages"][-1]["content"][-1]["type"] == "tool_result":
            return "done"
        return [use("find_order", order_id="17")]

    async with stage(always) as on:
        for conversation in ("a", "b", "a", None, None):
            await on.runtime.run(agent(tools=[mine]), "17", conversation=conversation)
    assert executions == {"17": 4}


async def test_tenants_share_a_store_and_no_result(stage, tmp_path: Path):
    executions.clear()
    for tenant in ("one", "two", "one"):
        async with stage(looks_up, memo=str(tmp_path / "memo.db"), tenant=tenant) as on:
            await on.runtime.run(agent(tools=[find_order]), "17")
            assert len(await on.runtime.memo.entries()) == 1
    assert executions == {"17": 2}


async def test_a_memo_that_cannot_be_opened_changes_no_answer(stage):
    executions.clear()
    async with stage(looks_up, memo="/dev/null/memo.db") as on:
        result = await on.runtime.run(agent(tools=[find_order]), "17")
        again = await on.runtime.run(agent(tools=[find_order]), "17")
        counts = on.runtime.memo.statistics()["find_order"]
    assert result.output == again.output == '{"asked":1,"order":"17","é":1.0}'
    assert (counts.misses, counts.memory, counts.degraded) == (1, 1, 1)


async def test_a_memo_file_that_can_only_be_read_answers_what_it_has_and_changes_nothing(stage, tmp_path: Path):
    executions.clear()
    path = tmp_path / "memo.db"
    async with stage(looks_up, memo=str(path)) as on:
        await on.runtime.run(agent(tools=[find_order]), "17")
    with path.open(
        "r+b"
    ) as file:  # others may only read it now (sqlite.org/fileformat.html, 1.3.3); that binds root too
        file.seek(18)
        file.write(b"\3")
    async with stage(looks_up, memo=str(path)) as on:
        kept = await on.runtime.run(agent(tools=[find_order]), "17")
        new = [await on.runtime.run(agent(tools=[find_order]), "18") for _ in range(2)]
        counts = on.runtime.memo.statistics()["find_order"]
    assert kept.output == '{"asked":1,"order":"17","é":1.0}'
    assert [result.output for result in new] == ['{"asked":1,"order":"18","é":1.0}'] * 2
    assert (counts.sqlite, counts.misses, counts.memory, counts.degraded) == (1, 1, 1, 1)


async def test_a_memo_url_that_means_nothing_says_so_when_the_runtime_opens():
    with pytest.raises(SettingsError, match="lies in a SQLite file or in Redis"):
        async with Runtime("memory:", api_key="none", memo="postgresql://localhost/x"):
            pass
