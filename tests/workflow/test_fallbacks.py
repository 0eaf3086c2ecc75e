"""Another model answers when one is overloaded or declines: what is sent, what it costs, and what comes after."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentcache import (
    Agent,
    LimitReached,
    Limits,
    Notice,
    Overloaded,
    Prompt,
    RateLimited,
    Refused,
    RunFinished,
    SettingsError,
    Team,
    tool,
)
from agentcache.emulator.faults import Fault, ScheduledFaults
from agentcache.runtime.client import DEFAULT_MAX_ATTEMPTS
from tests.workflow.conftest import RULES, Request, Stage, at_once, staged
from tests.workflow.conftest import agent as declared
from tests.workflow.test_budgets import cost, equals_statement

FIRST, SECOND, THIRD = "claude-sonnet-5-5", "claude-opus-5", "claude-haiku-5-5"
REFUSAL = {"content": [], "stop_reason": "refusal"}


def agent(**changes: Any) -> Agent[Any]:
    return declared(**{"model": FIRST, "fallbacks": (SECOND,), "max_tokens": 200, **changes})


def overloaded(*, after: int = 0, kind: Any = "529") -> ScheduledFaults:
    """Let all attempts of one call fail, after so many calls that go well."""
    return ScheduledFaults([*[None] * after, *[Fault(kind=kind)] * DEFAULT_MAX_ATTEMPTS])


def refuses(*models: str) -> Any:
    """Answer for all models but these, which decline."""
    return lambda request: REFUSAL if request["model"] in models else f"{request['model']} answers"


def models_asked(on: Stage) -> list[str]:
    return [str(request["model"]) for request in on.emulator.requests]


@tool
def order_state(number: int) -> str:
    """Look up the state of an order by its number."""
    return f"order {number} is on its way"


async def test_an_overloaded_model_hands_the_turn_to_the_next_one(stage):
    async with stage(refuses(), faults=overloaded(), sleep=at_once) as on:
        result = await on.runtime.run(agent(), "go")
        calls = await on.runtime.ledger.calls()
        assert equals_statement(on, calls)
    assert result.output == f"{SECOND} answers"
    assert [(call.model, call.error is None) for call in calls] == [(FIRST, False), (SECOND, True)]
    assert (calls[0].cost_usd, result.cost_usd) == (0, cost(calls))
    assert result.turns == 2


async def test_a_model_that_declines_is_billed_under_its_own_name(stage):
    async with stage(refuses(FIRST)) as on:
        result = await on.runtime.run(agent(), "go")
        calls = await on.runtime.ledger.calls()
        assert equals_statement(on, calls)
    assert result.output == f"{SECOND} answers"
    assert [(call.model, call.stop_reason) for call in calls] == [(FIRST, "refusal"), (SECOND, "end_turn")]
    assert calls[0].cost_usd > 0
    assert result.cost_usd == cost(calls)


async def test_the_plan_says_what_the_switch_costs(stage):
    async with stage(refuses(), sleep=at_once) as on:
        await on.runtime.run(agent(), "warm it")
        on.emulator._app._faults = overloaded()
        await on.runtime.run(agent(), "go")
        *_, call = await on.runtime.ledger.calls()
        (notice,) = [event for event in on.told(Notice) if event.code == "fallback"]
    told = call.plan["fallback"]
    assert (told["from"], told["to"], told["cause"]) == (FIRST, SECOND, "overloaded")
    written = call.usage.cache_write_5m_tokens * Decimal("6.25") / 1_000_000
    read = call.usage.cache_write_5m_tokens * Decimal("0.10") / 1_000_000
    assert Decimal(told["prompt_usd"]) == pytest.approx(written, rel=Decimal("0.05"))
    assert read < Decimal(told["stayed_usd"]) < written / 10
    assert Decimal(told["extra_usd"]) == Decimal(told["prompt_usd"]) - Decimal(told["stayed_usd"])
    assert f"{FIRST} is overloaded, so the turn goes to {SECOND}" in notice.message


async def test_what_others_warmed_on_the_other_model_is_no_cost_of_the_switch(stage):
    async with stage(refuses(FIRST)) as on:
        await on.runtime.run(agent(), "one")
        await on.runtime.run(agent(), "two")
        _, cold, _, warm = await on.runtime.ledger.calls()
    assert warm.usage.cache_read_tokens > 1000
    assert Decimal(warm.plan["fallback"]["prompt_usd"]) < Decimal(cold.plan["fallback"]["prompt_usd"]) / 5


async def test_models_are_asked_in_their_order_and_the_last_ones_word_counts(stage):
    async with stage(refuses(FIRST, SECOND)) as on:
        result = await on.runtime.run(agent(fallbacks=(SECOND, THIRD)), "go")
        with pytest.raises(Refused):
            await on.runtime.run(agent(), "go")
        assert models_asked(on) == [FIRST, SECOND, THIRD, FIRST, SECOND]
    assert result.output == f"{THIRD} answers"


async def test_a_rate_limit_is_waited_out_unless_the_agent_says_otherwise(stage):
    async with stage(refuses(), faults=overloaded(kind="429"), sleep=at_once) as on:
        with pytest.raises(RateLimited):
            await on.runtime.run(agent(), "go")
    async with stage(refuses(), faults=overloaded(kind="429"), sleep=at_once) as on:
        result = await on.runtime.run(agent(fallback_on=("rate_limited",)), "go")
    assert result.output == f"{SECOND} answers"


async def test_without_fallbacks_an_overload_ends_the_run(stage):
    async with stage(refuses(), faults=overloaded(), sleep=at_once) as on:
        with pytest.raises(Overloaded):
            await on.runtime.run(agent(fallbacks=()), "go")


def asks_for_order(request: Request) -> Any:
    """Think and ask for the order tool; then answer with what it said."""
    results = [block for block in request["messages"][-1]["content"] if block["type"] == "tool_result"]
    if results:
        return f"{request['model']}: {results[0]['content']}"
    return [
        {"type": "thinking", "thinking": "let me see"},
        {"type": "tool_use", "name": "order_state", "input": {"number": 17}},
    ]


async def test_in_a_tool_loop_the_other_model_goes_on_without_the_firsts_thinking(stage):
    """Sonnet 5.5 binds its thinking to itself; the tool call and its result stay."""
    async with stage(asks_for_order, faults=overloaded(after=1), sleep=at_once) as on:
        result = await on.runtime.run(agent(tools=[order_state]), "Where is order 17?")
        calls = await on.runtime.ledger.calls()
        sent = on.emulator.requests[-1]["messages"]
        assert equals_statement(on, calls)
    assert result.output == f"{SECOND}: order 17 is on its way"
    assert [block["type"] for message in sent for block in message["content"]] == ["text", "tool_use", "tool_result"]
    assert calls[-1].plan["fallback"]["thinking_dropped"] is True


async def test_within_a_run_it_stays_with_the_other_model(stage):
    def script(request: Request) -> Any:
        if request["model"] == FIRST:
            return REFUSAL
        return asks_for_order(request)

    async with stage(script) as on:
        await on.runtime.run(agent(tools=[order_state]), "Where is order 17?")
        first, *others = await on.runtime.ledger.calls()
        assert models_asked(on) == [FIRST, SECOND, SECOND]
    assert others[1].usage.cache_read_tokens == others[0].usage.cache_write_tokens
    assert ["fallback" in call.plan for call in (first, *others)] == [False, True, False]


async def test_the_next_run_of_a_conversation_reads_what_the_first_model_had_cached(stage):
    async with stage(asks_for_order, strict=True, sleep=at_once) as on:
        clerk = agent(tools=[order_state])
        await on.runtime.run(clerk, "one", conversation="c")
        on.emulator._app._faults = overloaded()
        await on.runtime.run(clerk, "two", conversation="c")
        await on.runtime.run(clerk, "three", conversation="c")
        calls = await on.runtime.ledger.calls()
        last = on.emulator.requests[-1]["messages"]
        assert equals_statement(on, calls)
    assert [call.model for call in calls] == [FIRST, FIRST, FIRST, SECOND, SECOND, FIRST, FIRST]
    before, back = calls[1].usage, calls[5].usage
    assert back.cache_read_tokens == before.cache_read_tokens + before.cache_write_tokens
    texts = [block.get("text") for message in last for block in message["content"] if block["type"] == "text"]
    assert [text for text in texts if text in {"one", "two", "three"}] == ["one", "two", "three"]
    assert f"{SECOND}: order 17 is on its way" in texts
    thinking = [block for message in last for block in message["content"] if block["type"] == "thinking"]
    assert len(thinking) == 2, "the first model's own: of the first run and of this one"


async def test_a_call_that_was_not_taken_leaves_nothing_to_read(stage):
    async with stage(refuses(), faults=overloaded(), sleep=at_once) as on:
        await on.runtime.run(agent(), "one", conversation="c")
        overload = on.runtime._runner.conversations._kept["c"].sent
        await on.runtime.run(agent(), "two", conversation="c")
        answered = on.runtime._runner.conversations._kept["c"].sent
    assert (overload.model, overload.marks) == (FIRST, ())
    assert answered.marks != ()


async def test_what_amendments_said_is_in_the_system_prompt_of_a_model_that_takes_none(stage):
    editions = iter(["edition 1", "edition 2", "edition 2", "edition 2"])
    reader = agent(
        prompt=Prompt(static=RULES, semi_static="News: {{ news }}"),
        semi_static=lambda: {"news": next(editions)},
        refresh=0.0001,
        fallbacks=("claude-sonnet-5",),
    )

    def script(request: Request) -> Any:
        return [{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "ok"}]  # bound to the prompt before it

    async with stage(script, sleep=at_once) as on:
        await on.runtime.run(reader, "one", conversation="c")
        await asyncio.sleep(0.001)
        await on.runtime.run(reader, "two", conversation="c")
        assert [message["role"] for message in on.emulator.requests[-1]["messages"]][-1] == "system"
        on.emulator._app._faults = overloaded()
        await asyncio.sleep(0.001)
        await on.runtime.run(reader, "three", conversation="c")
        sent = on.emulator.requests[-1]
    assert sent["model"] == "claude-sonnet-5"
    assert sent["system"][-1]["text"] == "News: edition 2"
    assert {message["role"] for message in sent["messages"]} == {"user", "assistant"}


class Verdict(BaseModel):
    sound: bool


async def test_a_model_without_structured_outputs_is_told_the_form_in_words(stage):
    def script(request: Request) -> Any:
        return REFUSAL if request["model"] == FIRST else '{"sound": true}'

    async with stage(script) as on:
        result = await on.runtime.run(agent(output=Verdict, fallbacks=("claude-sonnet-4",)), "Is it?")
        first, second = on.emulator.requests
    assert result.output == Verdict(sound=True)
    assert "output_config" in first
    assert "output_config" not in second
    assert "JSON schema" in second["system"][-1]["text"]


async def test_a_stream_tells_of_the_switch_and_ends_with_the_others_answer(stage):
    def script(request: Request) -> Any:
        if request["model"] == FIRST:
            return {"content": [{"type": "text", "text": "I would rather"}], "stop_reason": "refusal"}
        return "done"

    async with stage(script) as on:
        events = [event async for event in on.runtime.stream(agent(), "go")]
        sent = on.emulator.requests[-1]["messages"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].output == "done"
    assert "fallback" in {event.code for event in events if isinstance(event, Notice)}
    assert len(sent) == 1, "what a model said before it declined is no part of the conversation"


async def test_the_other_models_call_has_to_fit_the_budget_too(stage):
    async with stage(refuses(FIRST)) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run(agent(), "go", limits=Limits(usd="0.010"))
        assert models_asked(on) == [FIRST]


async def test_a_run_that_fails_on_the_other_model_leaves_its_conversation_as_it_was(stage):
    async with stage(lambda request: REFUSAL if "bad" in str(request["messages"][-1]) else "ok") as on:
        await on.runtime.run(agent(), "one", conversation="c")
        with pytest.raises(Refused):
            await on.runtime.run(agent(), "bad", conversation="c")
        await on.runtime.run(agent(), "two", conversation="c")
        last = on.emulator.requests[-1]
    assert [message["role"] for message in last["messages"]] == ["user", "assistant", "user"]


MODELS = ("claude-sonnet-5-5", "claude-opus-5", "claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-4-6")
FATES: dict[str, Any] = {
    "answers": "so it is",
    "thinks": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so it seems"}],
    "asks": [
        {"type": "thinking", "thinking": "look"},
        {"type": "tool_use", "name": "order_state", "input": {"number": 17}},
    ],
    "declines": REFUSAL,
}


@given(
    models=st.lists(st.sampled_from(MODELS), min_size=2, max_size=3, unique=True),
    fates=st.lists(st.sampled_from(sorted(FATES)), max_size=14),
    runs=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_whatever_models_do_the_api_takes_every_request_and_the_books_balance(models, fates, runs):
    """Each call meets the next fate, the last ones answer.

    A prefix that moved, or thinking in the wrong place, would be an error of the strict runtime or of the emulator.
    """

    async def play() -> None:
        left = iter(fates)
        async with staged(lambda request: FATES[next(left, "answers")], strict=True) as on:
            clerk = agent(model=models[0], fallbacks=tuple(models[1:]), tools=[order_state])
            paid = Decimal(0)
            for number in range(runs):
                with suppress(Refused):
                    result = await on.runtime.run(clerk, f"question {number}", conversation="c")
                    paid += result.cost_usd or 0
            calls = await on.runtime.ledger.calls()
            assert equals_statement(on, calls)
            assert all(call.error is None for call in calls)
            ended = await finished(on)
            assert paid == cost([call for call in calls if call.run_id in ended])

    asyncio.run(play())


async def finished(on: Stage) -> set[str]:
    return {run.run_id for run in await on.runtime.ledger.runs() if run.status == "finished"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"fallbacks": "claude-opus-5"}, "tuple or list"),
        ({"fallbacks": (FIRST,)}, "twice"),
        ({"fallbacks": (SECOND, "claude-opus-5")}, "twice"),
        ({"fallback_on": ("bored",)}, "fallback_on"),
        ({"fallbacks": ("claude-haiku-4-5",), "effort": "low"}, "on claude-haiku-4-5: effort"),
        ({"fallbacks": ("claude-haiku-4-5",), "thinking": "adaptive"}, "on claude-haiku-4-5: has no adaptive"),
        ({"fallbacks": ("claude-next-9",), "limits": Limits(usd=1)}, "on claude-next-9: a dollar limit"),
    ],
)
def test_what_could_never_work_is_an_error_of_the_declaration(changes, what):
    with pytest.raises(SettingsError, match=what):
        agent(**changes)


def test_an_agent_of_a_team_has_fallbacks_too():
    team = Team(name="desk", model=FIRST, prompt=Prompt(static=RULES))
    clerk = team.agent(name="clerk", fallbacks=(SECOND,))
    assert [stand_in.model for stand_in in clerk.stand_ins] == [SECOND]
