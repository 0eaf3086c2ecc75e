"""Prompts of shapes that other frameworks place badly: what is read, what is written, what is marked."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from agentcache import Agent, Notice, Prompt, Section, tool
from tests.scenarios.stage import MODEL, Request, cached_tokens, markers, prose, staged


@tool
def look_up(number: int) -> str:
    """Look an entry of the archive up by its number."""
    return f"Entry {number}: {prose('the archive', 3)}"


def clerk(**changes):
    declared = {"name": "clerk", "model": MODEL, "prompt": Prompt(static=prose("orders", 150)), "tools": [look_up]}
    return Agent(**{**declared, **changes})


def turns_of(request: Request) -> int:
    return sum(message["role"] == "assistant" for message in request["messages"])


def uses(count: int, *, interleaved: bool, turn: int) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    for number in range(count):
        if interleaved:
            blocks.append({"type": "text", "text": f"Turn {turn}, step {number}."})
        blocks.append({"type": "tool_use", "name": "look_up", "input": {"number": 100 * turn + number}})
    return blocks


async def test_layers_under_the_minimum_are_cached_together_and_waste_no_slot():
    prompt = Prompt(static=prose("a", 20), semi_static=prose("b", 20), session="{{ customer }}: " + prose("c", 30))
    agent = clerk(prompt=prompt, tools=[])
    async with staged(lambda request: "ok") as on:
        for question in ("one", "two"):
            await on.runtime.run(agent, question, session={"customer": "Ana"}, conversation="c")
        first, second = await on.calls()
    refused = {point["where"]: point["refusal"] for point in first.plan["refused"]}
    assert refused == {"system[0]": "under_minimum", "system[1]": "under_minimum"}
    assert [point["where"] for point in first.plan["kept"]] == ["system[2]", "messages[0].content[0]"]
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens > 0


async def test_twelve_interleaved_tool_calls_in_a_turn_do_not_fall_out_of_the_lookback():
    def script(request: Request):
        turn = turns_of(request)
        return uses(12, interleaved=True, turn=turn) if turn < 3 else "done"

    async with staged(script) as on:
        await on.runtime.run(clerk(), "Read the archive.")
        calls = await on.calls()
    assert len(calls) == 4
    for before, after in pairwise(calls):
        assert after.usage.cache_read_tokens == cached_tokens(before.usage)
    assert [point["origin"] for point in calls[1].plan["kept"]].count("anchor") == 1


async def test_thirty_parallel_results_are_one_position_and_need_no_anchor():
    def script(request: Request):
        turn = turns_of(request)
        return uses(30, interleaved=False, turn=turn) if turn < 2 else "done"

    async with staged(script) as on:
        await on.runtime.run(clerk(), "Read the archive.")
        calls = await on.calls()
    assert len(calls) == 3
    for before, after in pairwise(calls):
        assert after.usage.cache_read_tokens == cached_tokens(before.usage)
        assert all(point["origin"] == "policy" for point in after.plan["kept"])


async def test_a_clock_in_a_semi_static_layer_costs_one_write_a_window_and_never_the_static_layer():
    async with staged(lambda request: "ok") as on:
        agent = clerk(
            prompt=Prompt(static=prose("orders", 150), semi_static="It is {{ now }}. " + prose("news", 80)),
            semi_static=lambda: {"now": f"{on.clock.now():.0f}"},
            refresh="3m",
        )
        for _ in range(9):
            await on.runtime.run(agent, "What is new?")
            await on.pause(1)
        usages = await on.usages()
    static = usages[3].cache_read_tokens
    assert static > 1000
    assert [usage.cache_write_tokens > 500 for usage in usages] == [True, False, False] * 3
    assert all(usage.cache_read_tokens >= static for usage in usages[1:])


async def test_an_effort_switched_in_a_conversation_is_held_and_rewrites_nothing():
    async with staged(lambda request: "ok") as on:
        for effort in ("high", "low"):
            await on.runtime.run(clerk(effort=effort), "Go on.", conversation="c")
        first, second = await on.usages()
        requests: list[Any] = list(on.emulator.requests)
    assert [request["output_config"]["effort"] for request in requests] == ["high", "high"]
    assert second.cache_read_tokens == cached_tokens(first)
    assert [event.code for event in on.events if isinstance(event, Notice)] == ["settings_held"]


async def test_an_authors_marks_and_the_policys_together_are_never_more_than_four():
    sections = [
        Section(name=f"part_{place}", template=prose(f"part {place}", 80), breakpoint="1h") for place in range(3)
    ]
    agent = clerk(prompt=Prompt(static=sections, semi_static=prose("news", 80), session=prose("customer", 80)))

    def script(request: Request):
        return uses(12, interleaved=True, turn=turns_of(request)) if turns_of(request) % 3 < 2 else "done"

    async with staged(script) as on:
        for question in ("one", "two"):
            await on.runtime.run(agent, question, conversation="c")
        calls = await on.calls()
        counts = [len(markers(request)) for request in on.emulator.requests]
    assert counts == [len(call.plan["kept"]) for call in calls] == [4] * 6
    for call in calls:
        assert [point["origin"] for point in call.plan["kept"]].count("author") == 3
        assert {point["refusal"] for point in call.plan["refused"]} <= {"over_four", "duplicate", "under_minimum"}
    for before, after in pairwise(calls):
        # With one slot left the marker moves on only as far as the last write is found from; it always is.
        assert after.usage.cache_read_tokens == cached_tokens(before.usage)
