"""Conversations with silences of 2, 7 and 40 minutes: the lifetime follows what was seen."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from agentcache import Agent, Prompt
from agentcache.accounting.summary import summarise
from tests.scenarios.stage import MODEL, cached_tokens, prose, staged

AGENT = Agent(name="friend", model=MODEL, prompt=Prompt(static=prose("life", 400)))
TURNS = 12


async def talk(on, minutes: float, agent=AGENT, turns=TURNS):
    """Hold a conversation with a silence after each turn and return what its calls used."""
    for number in range(turns):
        await on.runtime.run(agent, f"Question {number}", conversation="c")
        await on.pause(minutes)
    return await on.usages()


async def test_after_two_minutes_everything_is_read_and_nothing_is_paid_for_the_hour_in_bulk():
    async with staged(lambda request: "ok") as on:
        usages = await talk(on, 2)
    for before, after in pairwise(usages):
        assert after.cache_read_tokens == cached_tokens(before)
    assert usages[0].cache_write_1h_tokens == 0
    assert sum(usage.cache_write_1h_tokens for usage in usages[1:]) < 0.1 * usages[0].cache_write_5m_tokens


@pytest.mark.parametrize("minutes", [7, 40])
async def test_after_longer_silences_the_prompt_is_written_for_the_hour_and_then_read(minutes):
    async with staged(lambda request: "ok") as on:
        usages = await talk(on, minutes)
    assert usages[0].cache_write_1h_tokens == 0
    last = usages[-3:]
    assert all(usage.cache_read_tokens > 0.9 * usage.input_tokens for usage in last)


@pytest.mark.parametrize("minutes", [2, 7, 40])
async def test_no_silence_makes_auto_dearer_than_layers(minutes):
    costs: dict[str, Any] = {}
    for policy in ("auto", "layers"):
        agent = Agent(name="friend", model=MODEL, prompt=AGENT.prompt, cache=policy)
        async with staged(lambda request: "ok") as on:
            await talk(on, minutes, agent)
            costs[policy] = summarise(await on.calls(), [], by="agent").total.cost_usd
    assert costs["auto"] <= costs["layers"]
    assert minutes == 2 or costs["auto"] < costs["layers"]


async def test_silences_beyond_the_hour_are_learned_too_and_the_prompt_is_sent_uncached():
    async with staged(lambda request: "ok") as on:
        usages = await talk(on, 90, turns=20)
    assert all(usage.cache_read_tokens == 0 for usage in usages)
    assert usages[0].cache_write_tokens > 0
    assert all(usage.cache_write_tokens == 0 for usage in usages[-3:])
