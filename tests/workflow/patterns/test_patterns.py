"""What each helper promises beyond the calls that it makes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentcache import (
    DeclarationError,
    Improved,
    LimitReached,
    Limits,
    Notice,
    OutputInvalid,
    Prompt,
    Run,
    RunError,
    Team,
    agent_tool,
    handoff,
    improve,
    majority,
    route,
    tool,
    verified,
    vote,
    workflow,
)
from tests.workflow.conftest import RULES, Request, agent, staged


def asks(request: Request) -> str:
    return str(request["messages"][-1]["content"][-1].get("text", ""))


def always(text: str) -> Callable[[Request], str]:
    return lambda request: text


router, money, travel = agent(name="router"), agent(name="money"), agent(name="travel")


async def test_the_routers_prefix_is_the_same_whatever_order_the_routes_stand_in():
    @workflow
    async def both(run: Run) -> list[str]:
        first = await route(run, router, {"money": money, "travel": travel}, "one")
        second = await route(run, router, {"travel": travel, "money": money}, "two")
        return [first.route, second.route]

    def script(request: Request) -> str:
        return '{"value": "money"}' if "output_config" in request else "ok"

    async with staged(script, strict=True) as on:
        result = await on.runtime.run(both)
        routers = [call for call in await on.runtime.ledger.calls() if call.agent == "router"]
    assert result.output == ["money", "money"]
    assert routers[1].usage.cache_read_tokens == routers[0].usage.cache_write_tokens
    assert routers[0].usage.cache_write_tokens > 1000


async def test_a_route_that_is_not_on_the_list_is_sent_back_and_never_taken():
    @workflow
    async def routed(run: Run) -> str:
        return (await route(run, router, {"money": money, "travel": travel}, "one")).route

    async with staged(always('{"value": "cashier"}')) as on:
        with pytest.raises(OutputInvalid):
            await on.runtime.run(routed)
        assert {call.agent for call in await on.runtime.ledger.calls()} == {"router"}
    assert "'money' or 'travel'" in asks(on.emulator.requests[1])


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (lambda run: route(run, router, {"money": money}, "x"), "with fewer than two, ask the agent"),
        (lambda run: route(run, agent(output=int), {"a": money, "b": travel}, "x"), "declares an output"),
        (lambda run: vote(run, money, "x", samples=1), "take two or more"),
        (lambda run: improve(run, money, travel, "x", good=bool, advice=str, rounds=0), "take at least 1"),
        (lambda run: verified(run, money, agent(output=int), "x"), "declares an output"),
        (lambda run: handoff(run, {"money": money}, "x", first="money"), "give two agents or more"),
        (lambda run: handoff(run, {"a": money, "b": travel}, "x", first="c"), "'c' among them"),
    ],
)
async def test_what_could_never_work_is_refused_before_anything_is_sent(declared, says):
    @workflow
    async def flow(run: Run) -> object:
        return await declared(run)

    async with staged(always("never")) as on:
        with pytest.raises(DeclarationError, match=says):
            await on.runtime.run(flow)
    assert on.emulator.requests == []


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9))
def test_a_majority_is_the_most_frequent_answer_and_the_first_of_a_tie(answers):
    counted = Counter(answers)
    most = max(counted.values())
    best = [answer for answer in answers if counted[answer] == most]
    found = majority(answers)
    assert found.winner == best[0]
    assert found.tied == (len(set(best)) > 1)
    assert list(found.counts) == sorted(counted.values(), reverse=True)
    assert found.share == most / len(answers)
    assert majority(answers, tie="none").winner == (None if found.tied else best[0])


class Fare(BaseModel):
    euros: int


def test_equal_models_are_one_vote_and_a_key_says_what_is_equal():
    assert majority([Fare(euros=3), Fare(euros=4), Fare(euros=4)]).winner == Fare(euros=4)
    assert majority(["No", "yes", "YES "], same=lambda text: text.strip().lower()).winner == "yes"


def test_no_answers_have_no_majority():
    with pytest.raises(DeclarationError, match="no answers to count"):
        majority([])


async def test_samples_of_a_long_question_write_it_once():
    @workflow
    async def elected(run: Run) -> str | None:
        return (await vote(run, agent(prompt=Prompt(static="Short.")), RULES * 3, samples=4)).winner

    async with staged(always("yes")) as on:
        await on.runtime.run(elected)
        first, *others = await on.runtime.ledger.calls()
    assert first.usage.cache_write_tokens > 1000
    assert {call.usage.cache_read_tokens for call in others} == {first.usage.cache_write_tokens}
    assert {call.usage.cache_write_tokens for call in others} == {0}


class Judgement(BaseModel):
    good: bool
    advice: str


@pytest.mark.parametrize(("good_at", "drafts", "good"), [(1, 1, True), (2, 2, True), (9, 3, False)])
async def test_a_draft_is_improved_until_it_is_good_and_what_comes_back_was_judged(good_at, drafts, good):
    writer, critic = agent(name="writer"), agent(name="critic", output=Judgement)

    def script(request: Request) -> str:
        texts = [block["text"] for block in request["messages"][-1]["content"]]
        if "output_config" in request:
            return json.dumps({"good": texts[-1] == f"draft {good_at}", "advice": f"not {texts[-1]}"})
        return f"draft {int(texts[-1].split()[-1]) + 1 if len(texts) > 1 else 1}"

    @workflow
    async def flow(run: Run) -> Improved[str, Judgement]:
        return await improve(
            run, writer, critic, "a task", good=lambda found: found.good, advice=lambda found: found.advice
        )

    async with staged(script) as on:
        done = (await on.runtime.run(flow)).output
        agents = [call.agent for call in await on.runtime.ledger.calls()]
        requests: list[Any] = list(on.emulator.requests)
    lengths = [len(request["messages"][-1]["content"]) for request in requests]
    assert (done.draft, done.rounds, done.good) == (f"draft {drafts}", drafts, good)
    assert done.verdict.advice == f"not draft {drafts}"
    assert agents == ["writer", "critic"] * drafts
    assert max(lengths) == (3 if drafts == 1 else 5)  # the prompt of the third round is no longer than the second's


async def test_a_rejection_without_a_correction_is_sent_back():
    drafter, checker = agent(name="drafter", output=Fare), agent(name="checker")
    verdicts = iter([None, {"euros": 5}])

    def script(request: Request) -> str:
        if "corrected" not in str(request["output_config"]):
            return '{"euros": 4}'
        return json.dumps({"correct": False, "problem": "too cheap", "corrected": next(verdicts)})

    @workflow
    async def flow(run: Run) -> list[object]:
        found = await verified(run, drafter, checker, "To the island?")
        return [found.answer, found.draft, found.accepted, found.problem]

    async with staged(script) as on:
        result = await on.runtime.run(flow)
        assert "needs a correction" in asks(on.emulator.requests[-1])
    assert result.output == [Fare(euros=5), Fare(euros=4), False, "too cheap"]


def holds(request: Request, to: str | None) -> str:
    return json.dumps({"hand_over_to": to, "summary": "sum", "answer": None if to else "done"})


async def test_a_handoff_is_told_with_its_cost_and_is_no_error_where_the_runtime_is_strict():
    agents = {"front": agent(name="front"), "back": agent(name="back", prompt=Prompt(static=RULES + "Back."))}

    @workflow
    async def flow(run: Run) -> list[str]:
        done = await handoff(run, agents, "help", first="front", conversation="c")
        return [*done.path, done.output]

    async with staged(
        lambda request: holds(request, "back" if len(request["messages"]) == 1 else None), strict=True
    ) as on:
        result = await on.runtime.run(flow)
        (told,) = [event for event in on.told(Notice) if event.code == "handed_over"]
    assert result.output == ["front", "back", "done"]
    assert told.message.startswith("the conversation goes on with back in place of front, and so system[0]")
    assert "cached tokens behind it are written again" in told.message


async def test_agents_of_one_team_hand_over_and_read_what_they_share():
    team = Team(name="desk", model="claude-sonnet-5-5", prompt=Prompt(static=RULES))
    agents = {name: team.agent(name=name, prompt=Prompt(static=f"You are {name}.")) for name in ("front", "back")}

    @workflow
    async def flow(run: Run) -> str:
        return (await handoff(run, agents, "help", first="front", conversation="c")).output

    async with staged(lambda request: holds(request, "back" if len(request["messages"]) == 1 else None)) as on:
        await on.runtime.run(flow)
        front, back = await on.runtime.ledger.calls()
    assert 0 < back.usage.cache_read_tokens <= front.usage.cache_write_tokens


async def test_agents_that_only_hand_over_end_the_run():
    agents = {"a": agent(name="a"), "b": agent(name="b")}

    @workflow
    async def flow(run: Run) -> object:
        return await handoff(run, agents, "help", first="a", most=2)

    script: Callable[[Request], str] = lambda request: holds(request, "b" if "sum" not in asks(request) else "a")  # noqa: E731
    async with staged(script) as on:
        with pytest.raises(RunError, match=r"nobody answered after 2 handoffs \(a > b > a"):
            await on.runtime.run(flow)
    assert len(on.emulator.requests) == 3


@tool
async def dig() -> str:
    """Dig deeper."""
    return "deeper"


async def test_an_agent_as_tool_stays_within_its_share_and_the_asking_agent_goes_on():
    digger = agent(name="digger", tools=[dig])
    boss = agent(name="boss", tools=[agent_tool(digger, description="Dig.", limits=Limits(turns=2))])

    def script(request: Request) -> Any:
        last = request["messages"][-1]["content"][-1]
        if request["tools"][0]["name"] == "dig":
            return [{"type": "tool_use", "name": "dig", "input": {}}]
        if last["type"] == "tool_result":
            return f"boss heard: {last['content']}"
        return [{"type": "tool_use", "name": "digger", "input": {"task": "dig"}}]

    async with staged(script) as on:
        result = await on.runtime.run(boss, "go")
        with pytest.raises(LimitReached) as stopped:
            await on.runtime.run(boss, "go", limits=Limits(turns=2))
    assert result.output.startswith("boss heard: digger gave no answer: digger: the limit of 2 turns is reached")
    assert result.turns == 4
    assert stopped.value.spent.turns == 2


async def test_a_budget_above_bounds_what_is_asked_inside_a_tool():
    boss = agent(name="boss", tools=[agent_tool(agent(name="expert"), name="ask", description="Ask.")])

    def script(request: Request) -> Any:
        if "tools" in request and len(request["messages"]) < 9:
            return [{"type": "tool_use", "name": "ask", "input": {"task": "more"}}]
        return "ok"

    async with staged(script, limits=Limits(turns=5)) as on:
        with pytest.raises(LimitReached) as stopped:
            await on.runtime.run(boss, "go")
        calls = await on.runtime.ledger.calls()
    assert stopped.value.spent.turns == len(calls) == 5
