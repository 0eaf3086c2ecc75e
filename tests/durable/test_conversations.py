"""Durable runs of conversations: what was said is handed in once, and a summary is paid for once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentcache import Compaction, SettingsError, StoreError
from agentcache.accounting.usage import CallKind
from tests.durable.conftest import Model, durably, interrupted
from tests.workflow.conftest import Request, agent


async def test_a_conversation_that_was_saved_before_the_end_was_told_is_not_told_twice(store: str):
    clerk = agent()
    async with durably(Model(), store, keep_text=True) as on:
        await on.runtime.run(clerk, "hello", conversation="c")
        ledger, reached, save = on.runtime.ledger, asyncio.Event(), on.runtime.ledger.save_conversation

        async def save_and_hang(conversation: Any) -> Any:
            await save(conversation)
            reached.set()
            await asyncio.sleep(0.2)  # a cancelled save is waited for

        ledger.save_conversation = save_and_hang
        await interrupted(on.runtime.run_as("one", clerk, "again", conversation="c"), reached)
    model = Model()
    async with durably(model, store, keep_text=True) as on:
        result = await on.runtime.run_as("one", clerk, "again", conversation="c")
        kept = await on.runtime.ledger.load_conversation("c")
    assert (result.output, model.asked) == ("again!", {})
    assert [message["role"] for message in kept.messages] == ["user", "assistant", "user", "assistant"]


async def test_a_conversation_that_went_on_meanwhile_is_an_error(store: str):
    clerk, model = agent(), Model("again")
    async with durably(model, store, keep_text=True) as on:
        await interrupted(on.runtime.run_as("one", clerk, "again", conversation="c"), model.reached)
    async with durably(Model(), store, keep_text=True) as on:
        await on.runtime.run(clerk, "something else", conversation="c")
        with pytest.raises(StoreError, match="went on since this durable run"):
            await on.runtime.run_as("one", clerk, "again", conversation="c")


async def test_a_conversation_that_nothing_keeps_cannot_be_durable(store: str):
    async with durably(Model(), store) as on:
        with pytest.raises(SettingsError, match="keep_text=True"):
            await on.runtime.run(agent(), "hello", conversation="c")


async def test_a_summary_is_paid_for_once_and_charged_again(store: str):
    clerk = agent(compaction=Compaction(trigger_tokens=1, keep_turns=1, summary_tokens=10))
    reached, summaries, stop = asyncio.Event(), 0, True

    async def script(request: Request) -> str:
        nonlocal summaries
        asked = str(request["messages"][-1]["content"][-1]["text"])
        if asked.startswith("Summarise"):
            summaries += 1
            return "They talked."
        if stop and asked.startswith("third"):
            reached.set()
            await asyncio.sleep(60)
        return "yes"

    words = "Tell me more of this. " * 20
    async with durably(script, store, keep_text=True) as on:
        for text in ("first", "second"):
            await on.runtime.run(clerk, f"{text} {words}", conversation="c")
        await interrupted(on.runtime.run_as("one", clerk, f"third {words}", conversation="c"), reached)
    stop = False
    async with durably(script, store, keep_text=True) as on:
        result = await on.runtime.run_as("one", clerk, f"third {words}", conversation="c")
        calls = await on.runtime.ledger.calls(run_id=result.run_id)
        said = await on.runtime.conversations.messages("c")
    answered = [call for call in calls if call.usage is not None]
    assert (summaries, [call.kind for call in answered]) == (1, [CallKind.SUMMARY, CallKind.MESSAGE])
    assert (result.turns, result.cost_usd) == (2, sum(call.cost_usd for call in answered))
    assert [message["role"] for message in said] == ["user", "assistant", "user", "assistant"]
