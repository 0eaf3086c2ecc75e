"""The main job on a real socket: agents run, call tools, answer in a type, and every call is in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from agentcache import (
    CallError,
    DeclarationError,
    LimitReached,
    Limits,
    MissingVariable,
    OutputTruncated,
    Prompt,
    Refused,
    RunFinished,
    Runtime,
    SettingsError,
    TextDelta,
    ToolFinished,
    Unauthenticated,
    run_sync,
    tool,
)
from agentcache.accounting.usage import Usage
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.server import serve
from tests.workflow.conftest import RULES, Request, agent


@tool
def order_state(number: int) -> str:
    """Look up the state of an order by its number."""
    return f"order {number} is on its way"


def asks_for_order(request: Request) -> Any:
    """Ask for the order tool first, then answer with what it said."""
    last = request["messages"][-1]["content"]
    results = [block for block in last if block["type"] == "tool_result"]
    if results:
        return f"I looked: {results[0]['content']}"
    return [{"type": "tool_use", "name": "order_state", "input": {"number": 17}}]


class Verdict(BaseModel):
    sound: bool
    why: str


async def test_an_answer_comes_back_with_what_it_cost(stage):
    async with stage(lambda request: "42") as on:
        result = await on.runtime.run(agent(), "What is it?")
    assert result.output == "42"
    assert result.usage.cache_write_5m_tokens > 512
    assert result.cost_usd is not None
    assert result.cost_usd > 0


async def test_the_ledger_equals_the_emulators_statement(stage):
    async with stage(asks_for_order) as on:
        await on.runtime.run(agent(tools=[order_state]), "Where is order 17?")
        calls = await on.runtime.ledger.calls()
        billed = {line.message_id: line for line in on.emulator.statement.lines}
    assert len(calls) == 2
    for call in calls:
        line = billed[call.message_id]
        assert call.usage == Usage(
            uncached_input_tokens=line.charge.plain_tokens,
            cache_write_5m_tokens=line.charge.write_5m_tokens,
            cache_write_1h_tokens=line.charge.write_1h_tokens,
            cache_read_tokens=line.charge.read_tokens,
            output_tokens=line.output_tokens,
        )


async def test_a_tool_loop_reads_what_the_call_before_wrote(stage):
    async with stage(asks_for_order) as on:
        result = await on.runtime.run(agent(tools=[order_state]), "Where is order 17?")
        first, second = await on.runtime.ledger.calls()
    assert result.output == "I looked: order 17 is on its way"
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens
    assert [event.outcome for event in on.told(ToolFinished)] == ["ok"]


async def test_assistant_content_goes_back_byte_for_byte(stage):
    odd = {"zeta": 1, "alpha": {"b": 2.5, "a": "é"}, "number": 17}

    def script(request: Request) -> Any:
        if len(request["messages"]) > 1:
            return "done"
        return [{"type": "text", "text": " spaced "}, {"type": "tool_use", "name": "order_state", "input": odd}]

    async with stage(script) as on:
        await on.runtime.run(agent(tools=[order_state]), "go")
        sent_back = on.emulator.requests[1]["messages"][1]["content"]
    assert sent_back[0]["text"] == " spaced "
    assert list(sent_back[1]["input"]) == ["zeta", "alpha", "number"]
    assert list(sent_back[1]["input"]["alpha"]) == ["b", "a"]


async def test_a_typed_output_uses_the_apis_structured_outputs(stage):
    async with stage(lambda request: '{"sound": true, "why": "checked"}') as on:
        result = await on.runtime.run(agent(output=Verdict), "Is it sound?")
        request = on.emulator.requests[0]
    assert result.output == Verdict(sound=True, why="checked")
    assert request["output_config"]["format"]["type"] == "json_schema"


async def test_an_answer_that_does_not_fit_is_repaired_in_the_same_conversation(stage):
    replies = iter(['{"sound": "perhaps"}', '{"sound": false, "why": "no"}'])
    async with stage(lambda request: next(replies)) as on:
        result = await on.runtime.run(agent(output=Verdict), "Is it sound?")
        second = on.emulator.requests[1]
    assert result.output == Verdict(sound=False, why="no")
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]


async def test_bad_tool_arguments_go_back_to_the_model_as_an_error_result(stage):
    def script(request: Request) -> Any:
        if len(request["messages"]) > 1:
            return request["messages"][-1]["content"][0]
        return [{"type": "tool_use", "name": "order_state", "input": {"number": "seventeen"}}]

    def answers(request: Request) -> Any:
        reply = script(request)
        return reply if isinstance(reply, list) else f"{reply['is_error']}: {reply['content']}"

    async with stage(answers) as on:
        result = await on.runtime.run(agent(tools=[order_state]), "go")
    assert result.output.startswith("True: ")
    assert "number" in result.output


async def test_a_conversation_continues_where_it_ended(stage):
    async with stage(lambda request: f"{len(request['messages'])} messages") as on:
        await on.runtime.run(agent(), "first", conversation="c-1")
        second = await on.runtime.run(agent(), "second", conversation="c-1")
        other = await on.runtime.run(agent(), "third", conversation="c-2")
    assert (second.output, other.output) == ("3 messages", "1 messages")


async def test_a_run_that_fails_leaves_its_conversation_as_it_was(stage):
    def script(request: Request) -> Any:
        if request["messages"][-1]["content"][-1]["text"] == "fail":
            return {"content": [{"type": "text", "text": "cut"}], "stop_reason": "max_tokens"}
        return f"{len(request['messages'])} messages"

    async with stage(script) as on:
        await on.runtime.run(agent(), "first", conversation="c")
        with pytest.raises(OutputTruncated):
            await on.runtime.run(agent(), "fail", conversation="c")
        again = await on.runtime.run(agent(), "second", conversation="c")
    assert again.output == "3 messages"


async def test_effort_stays_as_the_conversation_began_and_the_author_is_told(stage):
    async with stage(lambda request: request["output_config"]["effort"]) as on:
        await on.runtime.run(agent(effort="low"), "first", conversation="c")
        second = await on.runtime.run(agent(effort="high"), "second", conversation="c")
    assert second.output == "low"
    assert "settings_held" in {event.code for event in on.events if hasattr(event, "code")}


async def test_variables_of_a_session_and_a_turn_come_with_the_run(stage):
    prompt = Prompt(static=RULES, session="Customer: {{ customer }}", turn="Now: {{ now }}")
    async with stage(lambda request: "ok") as on:
        await on.runtime.run(agent(prompt=prompt), "hi", session={"customer": "Ana"}, turn={"now": "noon"})
        request = on.emulator.requests[0]
        with pytest.raises(MissingVariable, match="customer"):
            await on.runtime.run(agent(prompt=prompt), "hi", turn={"now": "noon"})
    assert request["system"][-1]["text"] == "Customer: Ana"
    assert [block["text"] for block in request["messages"][0]["content"]] == ["Now: noon", "hi"]


async def test_a_semi_static_snapshot_is_taken_once_per_window(stage):
    taken: list[int] = []

    async def briefing() -> dict[str, str]:
        taken.append(1)
        return {"news": f"edition {len(taken)}"}

    seconds = [1000.0]
    reader = agent(prompt=Prompt(static=RULES, semi_static="News: {{ news }}"), semi_static=briefing, refresh="30m")
    async with stage(lambda request: "ok", clock=None) as on:
        on.runtime._runner.snapshots._clock = lambda: seconds[0]  # the one clock that this test turns
        await asyncio.gather(*(on.runtime.run(reader, f"q{n}") for n in range(3)))
        seconds[0] += 1799
        await on.runtime.run(reader, "still in the window")
        seconds[0] += 1
        await on.runtime.run(reader, "in the next")
        texts = [request["system"][-1]["text"] for request in on.emulator.requests]
    assert texts == ["News: edition 1"] * 4 + ["News: edition 2"]


async def test_a_limit_on_turns_ends_a_run_that_never_stops(stage):
    def forever(request: Request) -> Any:
        return [{"type": "tool_use", "name": "order_state", "input": {"number": 1}}]

    async with stage(forever) as on:
        with pytest.raises(LimitReached) as caught:
            await on.runtime.run(agent(tools=[order_state]), "go", limits=Limits(turns=3))
        assert caught.value.spent.turns == 3
        assert len(await on.runtime.ledger.calls()) == 3


async def test_a_time_limit_ends_a_tool_that_hangs(stage):
    @tool
    async def wait() -> str:
        """Wait for something that never comes."""
        await asyncio.Event().wait()
        return "never"

    async with stage(lambda request: [{"type": "tool_use", "name": "wait", "input": {}}]) as on:
        with pytest.raises(LimitReached, match="time limit"):
            await on.runtime.run(agent(tools=[wait]), "go", limits=Limits(seconds=0.2))
        rows = await on.runtime.ledger.tool_calls()
    assert [row.outcome for row in rows] == ["cancelled"]


async def test_a_refusal_is_an_error_and_a_row(stage):
    async with stage(lambda request: {"content": [], "stop_reason": "refusal"}) as on:
        with pytest.raises(Refused):
            await on.runtime.run(agent(), "no")
        (call,) = await on.runtime.ledger.calls()
        (run,) = await on.runtime.ledger.runs()
    assert call.stop_reason == "refusal"
    assert run.status == "failed"


async def test_a_request_that_the_api_refuses_is_a_row_that_cost_nothing(stage):
    async with stage(lambda request: "never asked") as on:
        with pytest.raises(CallError):
            await on.runtime.run(agent(model="claude-next-9"), "hello")
        (call,) = await on.runtime.ledger.calls()
    assert call.error is not None
    assert (call.usage.total_tokens, call.cost_usd) == (0, Decimal(0))


async def test_cancelling_a_run_closes_its_rows(stage):
    started = asyncio.Event()

    async def slow(request: Request) -> str:
        started.set()
        await asyncio.sleep(30)
        return "late"

    async with stage(slow) as on:
        task = asyncio.create_task(on.runtime.run(agent(), "go"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (call,) = await on.runtime.ledger.calls()
        (run,) = await on.runtime.ledger.runs()
    assert (call.error, call.usage) == ("cancelled", None)
    assert run.status == "cancelled"


async def test_an_unknown_model_runs_and_is_unpriced_never_free():
    api = MessagesApi(seed="x", accept_unknown_models=True)
    async with serve(lambda request: "ok", api=api) as emulator:
        events: list[Any] = []
        async with Runtime("memory:", base_url=emulator.base_url, on_event=events.append) as runtime:
            result = await runtime.run(agent(model="claude-next-9"), "hello")
    assert result.cost_usd is None
    assert "unpriced_model" in {event.code for event in events if hasattr(event, "code")}


async def test_a_stream_yields_text_as_it_comes_and_ends_with_the_output(stage):
    async with stage(lambda request: "a fairly long answer in several pieces") as on:
        events = [event async for event in on.runtime.stream(agent(), "go")]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text == "a fairly long answer in several pieces"
    assert isinstance(events[-1], RunFinished)
    assert events[-1].output == text


async def test_leaving_a_stream_after_its_run_failed_leaves_no_error_that_nobody_asked_for(stage):
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with stage(lambda request: {"content": [], "stop_reason": "refusal"}) as on:
        async with contextlib.aclosing(on.runtime.stream(agent(), "go")) as events:
            async for event in events:
                if isinstance(event, RunFinished):
                    if ending := [task for task in asyncio.all_tasks() if "Runtime._run" in repr(task.get_coro())]:
                        await asyncio.wait(ending)
                    break
        del ending, events
    gc.collect()
    assert complaints == []


async def test_leaving_a_stream_early_cancels_the_run(stage):
    async def slow(request: Request) -> str:
        await asyncio.sleep(30)
        return "late"

    async with stage(slow) as on:
        stream = on.runtime.stream(agent(), "go")
        await anext(stream)
        await stream.aclose()
        (run,) = await on.runtime.ledger.runs()
    assert run.status == "cancelled"


async def test_two_runs_of_one_agent_send_the_same_prefix(stage):
    async with stage(lambda request: "ok") as on:
        for question in ("one", "two"):
            await on.runtime.run(agent(tools=[order_state]), question)
        first, second = on.emulator.requests
    assert (first["tools"], first["system"]) == (second["tools"], second["system"])


async def test_without_credentials_the_runtime_does_not_open(monkeypatch):
    with pytest.raises(Unauthenticated, match="ANTHROPIC_API_KEY"):
        async with Runtime("memory:"):
            pass


async def test_a_closed_runtime_says_how_to_open_it():
    with pytest.raises(SettingsError, match="async with"):
        await Runtime("memory:").run(agent(), "hi")


async def test_only_agents_and_workflows_run(stage):
    async with stage(lambda request: "ok") as on:
        with pytest.raises(DeclarationError, match="an Agent or a @workflow"):
            await on.runtime.run(print, "hi")


def test_code_that_is_not_async_has_one_door(tmp_path):
    import threading

    ready, done, where = threading.Event(), threading.Event(), []

    def host() -> None:
        async def main() -> None:
            async with serve(lambda request: "hello") as emulator:
                where.append(emulator.base_url)
                ready.set()
                await asyncio.to_thread(done.wait)

        asyncio.run(main())

    thread = threading.Thread(target=host)
    thread.start()
    ready.wait(10)
    try:
        assert run_sync(agent(), "hi", store="memory:", base_url=where[0]).output == "hello"
    finally:
        done.set()
        thread.join()


async def test_the_request_log_has_a_line_for_each_call(stage, tmp_path):
    import json

    log = tmp_path / "log.jsonl"
    async with stage(asks_for_order, record_requests=log) as on:
        await on.runtime.run(agent(tools=[order_state]), "Where is order 17?")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["agent"] for line in lines] == ["clerk", "clerk"]
    assert lines[1]["response"]["content"][0]["text"].startswith("I looked")
    assert 0 <= lines[0]["first_token_s"] <= lines[0]["end_s"]
