"""Durable runs within one process: what is asked again, what is not, and what is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from agentcache import (
    Event,
    LimitReached,
    Limits,
    Notice,
    Run,
    RunFinished,
    RunStarted,
    Unauthenticated,
    current_tool_call,
    tool,
    workflow,
)
from agentcache.emulator.messages_api import MessagesApi
from agentcache.prompt.model_facts import TTL_SECONDS
from agentcache.runtime.calls import CANCELLED, LOST
from tests.durable.conftest import Model, durably, interrupted
from tests.workflow.conftest import Request, agent


@workflow
async def chorus(run: Run, texts: list[str]) -> list[str]:
    return list(await run.gather(*(run.ask(agent(), text) for text in texts)))


@workflow
async def in_turn(run: Run, texts: list[str]) -> list[str]:
    return [await run.ask(agent(), text) for text in texts]


async def test_answers_find_their_asks_whatever_order_they_came_in(store: str):
    answered: list[str] = []
    finished: list[Event] = []
    both, second, never = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @workflow
    async def trio(run: Run) -> list[str]:
        return list(await run.gather(*(run.ask(agent(cache="off"), text) for text in "abc")))

    async def answer(request: Request) -> str:
        text = str(request["messages"][-1]["content"][-1]["text"])
        if text != "b":
            await (second if text == "a" else never).wait()
        answered.append(text)
        second.set()
        return f"{text}!"

    def see(event: Event) -> None:
        if isinstance(event, RunFinished):
            finished.append(event)
        if len(finished) == 2:
            both.set()

    async with durably(answer, store, on_event=see) as on:
        await interrupted(on.runtime.run_as("one", trio), both)
    again = Model()
    async with durably(again, store) as on:
        result = await on.runtime.run_as("one", trio)
    assert answered == ["b", "a"]
    assert result.output == ["a!", "b!", "c!"]
    assert again.asked == {"c": 1}


async def test_equal_asks_are_as_many_calls_and_each_is_made_once(store: str):
    model = Model()
    async with durably(model, store) as on:
        await on.runtime.run_as("one", chorus, ["a", "a", "a"])
        result = await on.runtime.run_as("one", chorus, ["a", "a", "a"])
    assert (model.asked, result.turns) == ({"a": 3}, 3)


async def test_a_run_without_an_id_is_durable_too_and_tells_the_id_that_it_was_given(store: str):
    async with durably(Model(), store) as on:
        first = await on.runtime.run(agent(), "a")
        again = await on.runtime.run_as(str(first.durable_id), agent(), "a")
        calls = await on.runtime.ledger.calls()
    assert (again.output, again.run_id, again.cost_usd) == (first.output, first.run_id, first.cost_usd)
    assert len(calls) == 1
    assert f"durable run {first.durable_id!r}: it begins" in on.told(Notice)[0].message
    assert on.told(Notice)[0].run_id == first.run_id == on.told(RunStarted)[0].run_id


async def test_the_same_id_asked_for_at_once_is_one_run(store: str):
    model = Model()
    async with durably(model, store) as on:
        both = await asyncio.gather(*(on.runtime.run_as("one", chorus, ["a", "b"]) for _ in range(2)))
    assert both[0].output == both[1].output == ["a!", "b!"]
    assert model.asked == {"a": 1, "b": 1}


async def test_a_cancelled_run_leaves_nothing_running_in_ledger_or_record(store: str, tmp_path: Path):
    model = Model("b")
    async with durably(model, store) as on:
        await interrupted(on.runtime.run_as("one", chorus, ["a", "b"]), model.reached)
        runs = await on.runtime.ledger.runs()
        calls = await on.runtime.ledger.calls()
    assert {run.status for run in runs} <= {"cancelled", "finished"}
    assert {call.error for call in calls} <= {None, "cancelled"}
    with sqlite3.connect(tmp_path / "ledger.durable.db") as database:
        states = {row[0] for row in database.execute("SELECT status FROM workflow_status")}
    database.close()
    assert states <= {"CANCELLED", "SUCCESS"}


@pytest.mark.own_keys("the API forgets one of them")
async def test_a_run_that_failed_goes_on_where_it_failed(store: str):
    @workflow
    async def two(run: Run) -> str:
        return await run.ask(agent(), await run.ask(agent(), "a"))

    model = Model()
    keys = {"good": "default"}

    async def expire(request: Request) -> str:
        keys.pop("good")  # after this answer the API knows the key no more
        return await model(request)

    async with durably(expire, store, api=MessagesApi(keys=keys), api_key="good") as on:
        with pytest.raises(Unauthenticated) as failed:
            await on.runtime.run_as("one", two)
    async with durably(model, store) as on:
        result = await on.runtime.run_as("one", two)
        notices = [note.message for note in on.told(Notice)]
    assert failed.value.status == 401
    assert (result.output, model.asked) == ("a!!", {"a": 1, "a!": 1})
    assert notices[0] == "durable run 'one': it had failed; it goes on where it failed"


async def test_a_run_that_reached_a_limit_goes_on_under_a_higher_one(store: str):
    model = Model()
    async with durably(model, store, limits=Limits(turns=1)) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run_as("one", in_turn, ["a", "b", "c"])
    async with durably(model, store) as on:
        assert (await on.runtime.run_as("one", in_turn, ["a", "b", "c"])).output == ["a!", "b!", "c!"]
    assert model.asked == {"a": 1, "b": 1, "c": 1}


async def test_a_limit_counts_what_is_on_record_and_lets_it_pass(store: str):
    model = Model("c")
    async with durably(model, store, limits=Limits(turns=3)) as on:
        await interrupted(on.runtime.run_as("one", chorus, ["a", "b", "c"]), model.reached)
    async with durably(Model(), store, limits=Limits(turns=3)) as on:
        assert (await on.runtime.run_as("one", chorus, ["a", "b", "c"])).turns == 3
    async with durably(Model(), store, limits=Limits(turns=3)) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run_as("two", chorus, ["a", "b", "c", "d"])


async def test_a_tool_on_record_is_not_run_again_and_one_in_flight_has_the_same_key(store: str):
    keys: list[tuple[str, str]] = []
    reached = asyncio.Event()

    @tool
    async def post(letter: str) -> str:
        """Post a letter."""
        keys.append((letter, current_tool_call().idempotency_key))
        if letter == "second" and len(keys) == 2:
            reached.set()
            await asyncio.sleep(60)
        return "posted"

    def script(request: Request) -> Any:
        letter = {1: "first", 3: "second"}.get(len(request["messages"]))
        return [{"type": "tool_use", "name": "post", "input": {"letter": letter}}] if letter else "done"

    poster = agent(tools=[post])
    async with durably(script, store) as on:
        await interrupted(on.runtime.run_as("one", poster, "go"), reached)
    async with durably(script, store) as on:
        assert (await on.runtime.run_as("one", poster, "go")).output == "done"
        rows = await on.runtime.ledger.tool_calls()
    assert [letter for letter, _ in keys] == ["first", "second", "second"]
    assert keys[1] == keys[2] != keys[0]
    assert [row.tool for row in rows] == ["post", "post"]


@pytest.mark.parametrize("error", [LOST, CANCELLED])
async def test_a_call_whose_bill_was_lost_counts_at_its_worst_when_the_run_goes_on(store: str, error: str):
    model, clerk = Model("a"), agent(max_tokens=100)  # which costs $0.0073 at most
    async with durably(model, store) as on:
        await interrupted(on.runtime.run_as("one", clerk, "a", limits=Limits(usd="0.01")), model.reached)
        (row,) = await on.runtime.ledger.calls()
        await on.runtime.ledger.put_call(replace(row, error=error))
    again = Model()
    async with durably(again, store) as on:
        with pytest.raises(LimitReached) as reached:
            await on.runtime.run_as("one", clerk, "a", limits=Limits(usd="0.01"))
        assert again.asked == {}
        result = await on.runtime.run_as("one", clerk, "a", limits=Limits(usd="0.02"))
    assert (reached.value.spent.turns, reached.value.spent.unknown_calls) == (0, 1)
    assert (result.output, result.turns, again.asked) == ("a!", 1, {"a": 1})


async def test_a_run_that_goes_on_is_not_told_how_it_ended_before(store: str, monkeypatch: pytest.MonkeyPatch):
    model, clerk, listed = Model("a"), agent(max_tokens=100), DBOS.list_workflows_async

    async def late(**asked: Any) -> Any:
        found = await listed(**asked)
        await asyncio.sleep(0.2)  # a busy machine: the answer is of a time before when it arrives
        return found

    async with durably(model, store) as on:
        await interrupted(on.runtime.run_as("one", clerk, "a", limits=Limits(usd="0.01")), model.reached)
        (row,) = await on.runtime.ledger.calls()
        await on.runtime.ledger.put_call(replace(row, error=LOST))
    monkeypatch.setattr(DBOS, "list_workflows_async", late)
    async with durably(Model(), store) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run_as("one", clerk, "a", limits=Limits(usd="0.01"))
        await asyncio.sleep(0.05)
        result = await on.runtime.run_as("one", clerk, "a", limits=Limits(usd="0.02"))
    assert result.output == "a!"


async def test_a_row_that_died_before_it_told_of_its_answer_counts_once(store: str):
    model, unknown = Model(), list[int]()

    @workflow
    async def one(run: Run) -> str:
        answer: str = await run.ask(agent(), "a")
        unknown.append(run.spent.unknown_calls)
        return answer

    async with durably(model, store) as on:
        await on.runtime.run_as("one", one)
        (row,) = await on.runtime.ledger.calls()
    with sqlite3.connect(store.removeprefix("sqlite:///").replace(".db", ".durable.db")) as database:
        database.execute("UPDATE workflow_status SET status = 'CANCELLED', output = NULL")
    database.close()
    async with durably(model, store) as on:
        await on.runtime.ledger.put_call(replace(row, usage=None, cost_usd=None, error=LOST))
        result = await on.runtime.run_as("one", one)
        assert await on.runtime.ledger.calls() == [row]
    assert (unknown, model.asked, result.cost_usd) == ([0, 0], {"a": 1}, row.cost_usd)


async def test_what_an_answer_on_record_cached_lives_from_when_it_was_sent(store: str):
    reached = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait."""
        reached.set()
        await asyncio.sleep(60)
        return "unreached"

    def script(request: Request) -> Any:
        return [{"type": "tool_use", "name": "wait", "input": {}}]

    for _ in range(2):
        async with durably(script, store) as on:
            reached.clear()
            await interrupted(on.runtime.run_as("one", agent(tools=[wait]), "go"), reached)
            (call,) = await on.runtime.ledger.calls()
            ends = {until_s for _, until_s in on.runtime._runner.calls.history._entries.values()}
        assert max(ends) <= call.sent_at + TTL_SECONDS["5m"]


@pytest.mark.parametrize("stopped_at", ["boss", "scribe"])
async def test_what_a_tool_asked_is_charged_though_the_tool_is_not_run_again(store: str, stopped_at: str):
    asked, reached, never = Counter[str](), asyncio.Event(), asyncio.Event()
    stop = True

    @workflow
    async def delegating(run: Run) -> str:
        @tool
        async def consult(question: str) -> str:
            """Ask the expert."""
            return await run.ask(agent(name="expert"), question)

        answer = await run.ask(agent(name="boss", tools=[consult]), "decide")
        return await run.ask(agent(name="scribe"), answer)

    async def script(request: Request) -> Any:
        last = request["messages"][-1]["content"][-1]
        if last.get("text") == "decide":
            return [{"type": "tool_use", "name": "consult", "input": {"question": "how?"}}]
        who = "boss" if last["type"] == "tool_result" else "expert" if last["text"] == "how?" else "scribe"
        asked[who] += 1
        if stop and who == stopped_at:
            reached.set()
            await never.wait()
        return f"the {who} says"

    async with durably(script, store) as on:
        await interrupted(on.runtime.run_as("one", delegating), reached)
    stop = False
    async with durably(script, store) as on:
        result = await on.runtime.run_as("one", delegating)
        calls = await on.runtime.ledger.calls(run_id=result.run_id)
    answered = [call for call in calls if call.usage is not None]
    assert (result.output, asked["expert"], asked[stopped_at]) == ("the scribe says", 1, 2)
    assert result.turns == 4
    assert result.usage == sum((call.usage for call in answered[1:]), answered[0].usage)
    assert result.cost_usd == sum(call.cost_usd for call in answered)


async def test_an_agent_declared_otherwise_keeps_the_answer_on_record_and_it_is_told(store: str):
    @workflow
    async def two(run: Run, rules: str) -> str:
        first = await run.ask(agent(name="one"), "a")
        return await run.ask(agent(name="two"), first)

    model = Model("a!")
    async with durably(model, store) as on:
        await interrupted(on.runtime.run_as("one", two, "x"), model.reached)

    @workflow
    async def changed(run: Run, rules: str) -> str:
        first = await run.ask(agent(name="one", max_tokens=500), "a")
        return await run.ask(agent(name="two"), first)

    object.__setattr__(changed, "name", two.name)
    async with durably(again := Model(), store) as on:
        await on.runtime.run_as("one", changed, "x")
    assert again.asked == {"a!": 1}
    assert ["its answer on record stays" in note.message for note in on.told(Notice)].count(True) == 1


async def test_a_stream_tells_what_a_durable_run_does(store: str):
    async with durably(Model(), store) as on:
        events = [event async for event in on.runtime.stream(chorus, ["a", "b"], durable_id="one")]
    assert events[-1].output == ["a!", "b!"]
    assert [event.name for event in events if isinstance(event, RunStarted)] == ["chorus", "clerk", "clerk"]


async def test_a_runtime_that_is_closed_leaves_nothing_open(store: str, tmp_path: Path):
    async with durably(Model(), store) as on:
        await on.runtime.run_as("one", chorus, ["a", "b"])

    # SQLite takes its write-ahead log away with the last connection.
    assert _files(tmp_path) == ["ledger.db", "ledger.durable.db"]


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())
