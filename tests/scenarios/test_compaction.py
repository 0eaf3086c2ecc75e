"""A long conversation, compacted never, at every turn, and when it pays: what each costs in dollars."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agentcache import Agent, Compaction, Prompt
from agentcache.accounting.usage import CallKind
from tests.scenarios.stage import MODEL, Request, prose, staged


def replies(request: Request) -> str:
    asked = request["messages"][-1]["content"][-1]["text"]
    return prose("what was said", 30) if asked.startswith("Summarise") else prose("the answer", 40)


async def talk(compaction: Compaction | None, *, pause_minutes: float):
    """Hold a conversation of 40 long turns with a pause after every tenth; return its calls, held against the bill."""
    desk = Agent(name="desk", model=MODEL, prompt=Prompt(static=prose("rules", 150)), compaction=compaction)
    async with staged(replies) as on:
        for number in range(40):
            await on.runtime.run(desk, prose(f"question {number}", 150), conversation="c")
            await on.pause(pause_minutes if number % 10 == 9 else 1)
        return await on.calls()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pause_minutes", "never_usd", "every_turn_usd", "chosen_usd"),
    [
        (1, "0.81180770", "1.07512380", "0.73270690"),
        (12, "1.02611060", "1.12802920", "0.87130150"),
        (90, "1.28804180", "1.12802920", "0.89103110"),
    ],
)
async def test_a_compaction_when_it_pays_costs_less_than_none_and_than_one_at_every_turn(
    pause_minutes: float, never_usd: str, every_turn_usd: str, chosen_usd: str
):
    every_turn = Compaction(trigger_tokens=1, keep_turns=1, summary_tokens=300)
    spent = [
        sum(call.cost_usd for call in await talk(policy, pause_minutes=pause_minutes))
        for policy in (None, every_turn, Compaction())
    ]

    assert spent == [Decimal(never_usd), Decimal(every_turn_usd), Decimal(chosen_usd)]
    assert spent[2] < min(spent[:2])


async def test_the_summariser_reads_what_the_conversation_has_in_the_cache():
    calls = await talk(Compaction(), pause_minutes=1)

    summaries = [at for at, call in enumerate(calls) if call.kind is CallKind.SUMMARY]
    assert summaries
    for at in summaries:
        before, summary, after = calls[at - 1 : at + 2]
        assert summary.usage.cache_read_tokens == before.usage.cache_read_tokens + before.usage.cache_write_tokens
        assert summary.usage.cache_write_tokens == 0
        assert after.usage.input_tokens < before.usage.input_tokens
        assert summary.plan["compaction"]["trigger"] == "pays"
