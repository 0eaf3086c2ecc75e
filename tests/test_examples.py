"""Every example runs offline and does what its docstring says."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentcache import Agent, LimitReached, Runtime, Workflow
from agentcache.cli.target import load_target
from agentcache.emulator.server import Emulator, serve

Json = dict[str, Any]

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("[0-9]*.py"))
MAX_LINES = 80


class Offline:
    """One example, loaded as the command line loads it, on an emulator that plays its script."""

    def __init__(self, module: ModuleType, runtime: Runtime, emulator: Emulator) -> None:
        self.module, self.runtime, self._emulator = module, runtime, emulator

    @property
    def requests(self) -> list[Json]:
        return list(self._emulator.requests)

    async def run(self, name: str, *arguments: object, **options: object):
        return await self.runtime.run(getattr(self.module, name), *arguments, **options)

    async def calls(self):
        return sorted(await self.runtime.ledger.calls(), key=lambda call: call.sent_at)


@asynccontextmanager
async def example(stem: str) -> AsyncIterator[Offline]:
    module = load_target(f"{EXAMPLES / stem}.py:emulated_replies").module
    async with (
        serve(module.emulated_replies) as emulator,
        Runtime("memory:", api_key="emulated", base_url=emulator.base_url) as runtime,
    ):
        yield Offline(module, runtime, emulator)


def text_of(request: Json) -> str:
    return str(request["messages"][-1]["content"][-1]["text"])


def test_the_examples_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in FILES] == list(range(1, len(FILES) + 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_small_brings_its_script_and_says_how_to_run_it(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_LINES
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    targets = re.findall(rf"agentcache run (examples/{path.stem}\.py:\w+)", docstring)
    assert targets
    for target in targets:
        found = load_target(str(EXAMPLES.parent / target))
        assert isinstance(found.value, Agent | Workflow)
        assert callable(found.module.emulated_replies)


async def test_one_agent_answers_and_says_what_it_cost():
    async with example("01_one_agent") as offline:
        result = await offline.run("greeter", "Name a lighthouse.")
        priced = await offline.run("priced", "Name a lighthouse.")
    assert result.output == "Lindau has the southernmost lighthouse of Germany."
    assert result.cost_usd is not None
    assert result.cost_usd > 0
    assert priced.output == f"{result.output} ({result.usage.output_tokens} output tokens, ${result.cost_usd})"


async def test_the_second_passenger_reads_what_the_first_one_wrote_and_turn_stays_out_of_system():
    async with example("02_layers") as offline:
        first, second = (await offline.run("two_passengers")).output
        requests = offline.requests
    assert first["read"] == 0
    assert first["written"] > 1000
    assert second["read"] > 1000
    assert second["written"] < 100
    assert [request["system"][:3] for request in requests] == [requests[0]["system"][:3]] * 2
    assert "09:10" not in str(requests[0]["system"])
    assert "Asked at 09:10." in str(requests[0]["messages"])


async def test_tools_run_fail_and_are_remembered_without_ending_the_run():
    async with example("03_tools") as offline:
        first = await offline.run("booking", "Two adults to Ellen Island and to Mars, please.")
        await offline.run("booking", "The same again.")
        tool_calls = await offline.runtime.ledger.tool_calls()
    assert first.output == (
        "Ellen Island costs 29.00 euros. Mars: no boat goes to 'Mars'; destinations are Ellen Island, Saint Bride."
    )
    assert sorted(call.outcome for call in tool_calls) == ["error", "error", "ok", "ok"]
    assert [call.memo_hit for call in tool_calls if call.outcome == "ok"] == [False, True]


async def test_an_answer_that_does_not_fit_is_sent_back_with_what_is_wrong():
    async with example("04_structured_output") as offline:
        result = await offline.run("reader", "Ana, two bicycles, to Ellen Island")
        requests = offline.requests
    assert result.output == offline.module.Booking(passenger="Ana", destination="Ellen Island", bicycles=2)
    assert len(requests) == 2
    assert "bicycles" in text_of(requests[1])


async def test_map_writes_the_shared_prefix_once_and_keeps_the_order():
    async with example("05_workflow") as offline:
        output = (await offline.run("answer_letters")).output
        clerks = [call for call in await offline.calls() if call.agent == "clerk"]
    questions = offline.module.QUESTIONS
    assert all(f"[{question}]" in output["letter"] for question in questions)
    assert [output["letter"].index(question) for question in questions] == sorted(
        output["letter"].index(question) for question in questions
    )
    assert output["fr"]
    assert output["cy"]
    assert [call.usage.cache_read_tokens > 1000 for call in clerks] == [False, True, True, True]
    assert [call.usage.cache_write_tokens > 1000 for call in clerks] == [True, False, False, False]


async def test_events_tell_of_tools_text_and_the_end_in_order():
    async with example("06_streaming_events") as offline:
        lines = [line async for line in offline.module.narrate(offline.runtime, "A story about a buoy")]
    assert lines[-1] == "run finished: A buoy was lonely. The tide was rising. It met a seal."
    assert "".join(line.removeprefix("text ") for line in lines if line.startswith("text ")) in lines[-1]
    order = ["first token", "call 1 finished: tool_use", "tool tide {'harbour': 'Northquay'}", "tool tide: ok"]
    assert [line for line in lines if line in order][:4] == order
    assert lines[-2] == "call 2 finished: end_turn"


async def test_a_conversation_sends_its_history_again_and_reads_it_from_the_cache():
    async with example("07_conversation") as offline:
        output = (await offline.run("chat")).output
        first, second = offline.requests
        calls = await offline.calls()
    assert output == ["In its lane 35 minutes before.", "At the gate 15 minutes before."]
    assert unmarked(second["messages"][:1]) == unmarked(first["messages"])
    assert calls[1].usage.cache_read_tokens > 1000


def unmarked(messages: list[Json]) -> list[Json]:
    return [
        {
            **message,
            "content": [{k: v for k, v in block.items() if k != "cache_control"} for block in message["content"]],
        }
        for message in messages
    ]


async def test_the_router_hands_a_message_to_the_specialist_for_it():
    async with example("08_handoff_router_evaluator") as offline:
        money = await offline.run("help_desk", "My boat was late, I want my money!")
        gate = await offline.run("help_desk", "Where do I board?")
        agents = [call.agent for call in await offline.calls()]
    assert (money.output, gate.output) == ("A quarter of the price comes back to you.", "Gate 2.")
    assert agents == ["router", "refunds", "router", "travel"]


async def test_the_writer_improves_until_the_critic_is_content():
    async with example("08_handoff_router_evaluator") as offline:
        result = await offline.run("polished", "A notice: the lift is broken.")
        agents = [call.agent for call in await offline.calls()]
    assert result.output == "Sorry: the lift is broken."
    assert agents == ["writer", "critic", "writer", "critic"]


@pytest.mark.parametrize(
    ("answer", "says", "transferred"),
    [("yes", "It is paid.", ["240 euros to Rope & Sail"]), ("no", "It was declined.", [])],
)
async def test_nothing_is_transferred_without_a_persons_yes(answer, says, transferred):
    async with example("09_human_approval") as offline:
        result = await offline.run("pay", "Invoice 17 from Rope & Sail, 240 euros", answer)
    assert result.output == {"says": says, "transferred": transferred}


async def test_without_an_answer_beforehand_the_person_is_asked(monkeypatch):
    questions = []

    def answer(question: str) -> str:
        questions.append(question)
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    async with example("09_human_approval") as offline:
        result = await offline.run("pay", "Invoice 17 from Rope & Sail, 240 euros")
    assert questions == ["Transfer 240 euros to Rope & Sail? [yes/no] "]
    assert result.output["transferred"] == ["240 euros to Rope & Sail"]


async def test_a_limit_stops_the_run_before_the_call_that_would_exceed_it():
    async with example("10_limits") as offline:
        careful = await offline.run("careful")
        assert len(await offline.calls()) == 3
        with pytest.raises(LimitReached) as stopped:
            await offline.run("searcher", "Find the lost umbrella.")
        assert len(await offline.calls()) == 3 + 5
    assert careful.output.startswith("gave up: limit 'turns' after 3 calls and ")
    assert (stopped.value.limit, stopped.value.spent.turns) == ("turns", 5)


async def test_an_agent_that_is_a_tool_counts_below_the_workflow():
    async with example("11_agent_as_tool") as offline:
        result = await offline.run("travel_plan", "A day trip to Ellen Island with a horse")
        calls = await offline.calls()
    assert result.output == "Take the first boat. Horses travel on the first boat of the day only, in a trailer."
    assert [call.agent for call in calls] == ["planner", "expert", "planner"]
    assert result.turns == 3
