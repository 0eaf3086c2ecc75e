"""Every example runs offline and does what its docstring says."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from agentcache import Agent, ApprovalRequest, LimitReached, Runtime, Workflow
from agentcache.cli import app
from agentcache.cli.target import load_target
from agentcache.emulator.server import Emulator, serve

Json = dict[str, Any]

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("[0-9]*.py"))
MAX_LINES = 60
COMMAND = re.compile(r"^ +agentcache run (examples/\S+.*?)(?: +#.*)?$", re.MULTILINE)


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
async def example(stem: str, **options: Any) -> AsyncIterator[Offline]:
    module = load_target(f"{EXAMPLES / stem}.py:emulated_replies").module
    async with (
        serve(module.emulated_replies) as emulator,
        Runtime("memory:", api_key="emulated", base_url=emulator.base_url, **options) as runtime,
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


async def test_the_router_is_corrected_and_the_specialist_on_the_route_answers():
    async with example("08_router") as offline:
        money = await offline.run("help_desk", "My boat was late, I want my money!")
        gate = await offline.run("help_desk", "Where do I board?")
        agents = [call.agent for call in await offline.calls()]
        asked = [request for request in offline.requests if "choose" in request["system"][0]["text"]]
    assert (money.output, gate.output) == ("refunds: A quarter of the price comes back to you.", "travel: Gate 2.")
    assert agents == ["router", "router", "refunds", "router", "router", "travel"]
    assert len({str(request["output_config"]) for request in asked}) == 1


@pytest.mark.parametrize(
    ("euros", "approved", "says", "asked"),
    [(240, True, "It is paid.", 1), (240, False, "It was declined.", 1), (40, False, "It is paid.", 0)],
)
async def test_large_sums_wait_for_a_person(euros: int, approved: bool, says: str, asked: int):
    questions: list[ApprovalRequest] = []

    def decide(request: ApprovalRequest) -> bool:
        questions.append(request)
        return approved

    async with example("09_human_approval", approve=decide) as offline:
        result = await offline.run("clerk", f"Invoice 17, {euros} euros")
    assert result.output == says
    assert [question.arguments for question in questions] == [{"payee": "Rope & Sail", "euros": euros}] * asked


async def test_a_limit_stops_the_run_before_the_call_that_would_exceed_it():
    async with example("10_limits") as offline:
        careful = await offline.run("careful")
        assert len(await offline.calls()) == 3
        with pytest.raises(LimitReached) as stopped:
            await offline.run("searcher", "Find the lost umbrella.")
        assert len(await offline.calls()) == 3 + 5
    assert careful.output.startswith("gave up: limit 'turns' after 3 calls and ")
    assert (stopped.value.limit, stopped.value.spent.turns) == ("turns", 5)


async def test_an_agent_that_is_a_tool_counts_below_the_agent_that_asks():
    async with example("11_agent_as_tool") as offline:
        result = await offline.run("planner", "A day trip to Ellen Island with a horse")
        calls, runs = await offline.calls(), {run.name: run for run in await offline.runtime.ledger.runs()}
    assert result.output == "Take the first boat. Horses travel on the first boat of the day only, in a trailer."
    assert [call.agent for call in calls] == ["planner", "expert", "planner"]
    assert runs["expert"].parent_run_id == runs["planner"].run_id == result.run_id
    assert result.turns == 3


async def test_a_sequence_passes_outputs_on():
    async with example("12_sequence") as offline:
        result = await offline.run("announcement", "late")
    assert result.output == "text(facts(late)) / welsh(text(facts(late)))"


async def test_parallel_agents_answer_each_in_its_type():
    async with example("13_parallel") as offline:
        result = await offline.run("briefing", "Saint Bride, tomorrow")
    assert result.output == "Force 4, 52 passengers, soup for 60"


async def test_the_readers_of_a_map_share_one_write_and_the_reducer_gets_all():
    async with example("14_map_reduce") as offline:
        result = await offline.run("complaints")
        readers = [call for call in await offline.calls() if call.agent == "reader"]
    assert result.output == "[('late', 3), ('lift', 1), ('soup', 1)]"
    assert [call.usage.cache_write_tokens > 1000 for call in readers] == [True, False, False, False, False]


async def test_a_conversation_moves_with_its_history_and_a_summary_moves_alone():
    async with example("15_handoff") as offline:
        moved = await offline.run("chat", "My boat was late, I want my money!")
        history = [message["role"] for message in offline.requests[-1]["messages"]]
        summed_up = await offline.run("cheap", "My boat was late, I want my money!")
        alone = offline.requests[-1]["messages"]
    assert moved.output == ["front", "refunds", "A quarter of the price comes back to you.", "You are welcome."]
    assert history == ["user", "assistant", "user", "assistant", "user"]
    assert summed_up.output == "A quarter of the price comes back to you."
    assert [block["text"][:12] for block in alone[0]["content"]] == ["My boat was ", "You take ove"]


async def test_the_writer_improves_until_the_critic_is_content():
    async with example("16_evaluator_optimiser") as offline:
        result = await offline.run("polished", "A notice: the lift is broken.")
        agents = [call.agent for call in await offline.calls()]
    assert result.output == "Sorry: the lift is broken. (good after 2)"
    assert agents == ["writer", "critic", "writer", "critic"]


async def test_workers_do_what_was_planned_on_one_warm_prefix():
    async with example("17_orchestrator_workers") as offline:
        result = await offline.run("answer", "A horse, a kayak and a dog?")
        workers = [call for call in await offline.calls() if call.agent == "worker"]
    assert result.output == "The horse may come. The kayak may come. The dog may come."
    assert [call.usage.cache_write_tokens > 1000 for call in workers] == [True, False, False]


async def test_samples_and_debaters_share_one_prefix_and_the_majority_wins():
    async with example("18_voting_and_debate") as offline:
        decided = await offline.run("decided", "May I bring a kayak?")
        debated = await offline.run("debated", "May I bring a kayak?")
        calls = await offline.calls()
    assert (decided.output, debated.output) == ("Yes (100%)", "Yes")
    assert len(calls) == 5 + 2 * 3
    assert [call.usage.cache_write_tokens > 1000 for call in calls].count(True) == 1


async def test_the_large_model_writes_only_what_it_must():
    async with example("19_draft_and_verify") as offline:
        right = await offline.run("quoted", "Two adults to Ellen Island")
        wrong = await offline.run("quoted", "Two adults and a dog to Ellen Island")
    assert (right.output, wrong.output) == ("30 euros", "30 euros (not 45: dogs are free)")


async def test_forks_read_the_conversation_and_leave_it_alone():
    async with example("20_forks") as offline:
        result = await offline.run("interview")
        first, *forks = await offline.calls()
        sent = offline.requests
    assert result.output == ["A passenger.", "Two bicycles and a cat.", "The boat was missed."]
    assert {fork.usage.cache_read_tokens for fork in forks} == {first.usage.cache_write_tokens}
    assert [len(request["messages"]) for request in sent] == [1, 3, 3, 3]


async def test_sub_agents_read_their_parents_prefix_and_count_once():
    async with example("21_sub_agents") as offline:
        result = await offline.run("inspector", "Check both boats against the handbook.")
        calls, runs = await offline.calls(), await offline.runtime.ledger.runs()
    assert result.output == "Heron: a dog in the saloon and Tern: all in order"
    assert [run.parent_run_id for run in runs if run.run_id != result.run_id] == [result.run_id] * 2
    assert result.turns == len(calls) == 6
    assert min(call.usage.cache_read_tokens for call in calls[1:]) == calls[0].usage.cache_write_tokens


async def test_builtin_tools_find_a_rule_refuse_to_look_outside_and_work_the_sum_out():
    async with example("22_builtin_tools") as offline:
        result = await offline.run("clerk", "What do I get back for a ticket of 84.30, a day ahead?")
        tool_calls = await offline.runtime.ledger.tool_calls()
        found, outside = (block["content"] for block in offline.requests[1]["messages"][-1]["content"])
    assert result.output == "You get 42.15 back."
    assert "handbook.md:20: - A ticket can be returned in full" in found
    assert outside == "'../README.md' is refused: it contains '..'; paths are as list_files shows them"
    outcomes = {(call.tool, call.outcome) for call in tool_calls}
    assert outcomes == {("search_files", "ok"), ("read_file", "error"), ("calculator", "ok")}


@pytest.mark.parametrize(
    "command",
    [found for path in FILES for found in COMMAND.findall(path.read_text("utf-8"))],
    ids=lambda line: line[9:],
)
def test_a_command_of_an_example_prints_its_agents_in_a_table(command, monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)
    more = [] if "--approve" in command else ["--approve", "all"]
    more += [] if "--emulate" in command else ["--emulate"]
    result = CliRunner().invoke(app, ["run", *shlex.split(command), *more, "--db", "memory:"])
    assert result.exit_code == (1 if "searcher" in command else 0), result.output
    rows = [row.strip() for row in result.stdout[result.stdout.index("──\n") :].splitlines()[1:]]
    agents = {row.split()[0] for row in rows[: rows.index("")]}
    declared = {agent.name for agent in _agents(vars(load_target(command.split()[0]).module))}
    assert agents
    assert agents <= declared


def _agents(found: Mapping[str, object]) -> Iterator[Agent[Any]]:
    for value in found.values():
        if isinstance(value, Agent):
            yield value
        elif isinstance(value, dict):
            yield from (item for item in value.values() if isinstance(item, Agent))
