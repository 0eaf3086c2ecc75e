"""Why calls missed, from the ledger alone; lost tokens are those that the emulator billed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from agentcache import Agent, Prompt, Runtime
from agentcache.accounting.ledger_findings import explain_ledger
from agentcache.accounting.misses import Cause, misses
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import serve
from agentcache.prompt.model_facts import facts_for
from tests.scenarios.stage import MODEL, cached_tokens, prose, staged

STATIC = Agent(name="clerk", model=MODEL, prompt=Prompt(static=prose("orders", 300)))
SESSION = Agent(
    name="clerk",
    model=MODEL,
    prompt=Prompt(static=prose("orders", 150), session="It is {{ now }}. " + prose("news", 120)),
)


async def test_a_session_section_that_moves_within_a_conversation_loses_the_history():
    async with staged(lambda request: "ok") as on:
        for now in ("noon", "one"):
            await on.runtime.run(SESSION, prose("questions", 100), session={"now": now}, conversation="c")
            await on.pause(0.5)
        first, second = await on.calls()

    (miss,) = misses([first, second])

    assert (miss.cause, miss.call.call_id, miss.earlier.call_id) == (Cause.MOVED, second.call_id, first.call_id)
    assert (miss.span.where, miss.span.layer) == ("system[1]", "session")
    assert miss.available_tokens == cached_tokens(first.usage)
    assert miss.lost_tokens == cached_tokens(first.usage) - second.usage.cache_read_tokens
    assert explain_ledger([first, second])[0]["code"] == "PC057"


async def test_a_static_text_that_changes_is_named_to_the_next_conversation():
    changed = Agent(name="clerk", model=MODEL, prompt=Prompt(static=prose("parcels", 300)))
    async with staged(lambda request: "ok") as on:
        await on.runtime.run(STATIC, "one")
        await on.pause(0.5)
        await on.runtime.run(changed, "one")
        await on.pause(0.5)
        calls = await on.calls()

    (miss,) = misses(calls)

    assert (miss.cause, miss.span.where, miss.span.layer) == (Cause.MOVED, "system[0]", "static")


async def test_an_expired_prefix_costs_what_was_written_again_less_the_read():
    async with staged(lambda request: "ok") as on:
        await on.runtime.run(STATIC, "one", conversation="c")
        await on.pause(0.5)
        await on.pause(61)
        await on.runtime.run(STATIC, "two", conversation="c")
        await on.pause(0.5)
        first, second = await on.calls()

    (miss,) = misses([first, second])

    assert (miss.cause, miss.gap_s) == (Cause.EXPIRED, 61.5 * 60)
    assert miss.lost_tokens == cached_tokens(first.usage)
    prices = facts_for(MODEL).prices_for()
    assert prices is not None
    hour = min(miss.lost_tokens, second.usage.cache_write_1h_tokens)
    written = hour * prices.write_1h_usd + (miss.lost_tokens - hour) * prices.write_5m_usd
    assert miss.lost_usd == (written - miss.lost_tokens * prices.read_usd) / Decimal(1_000_000)


async def test_a_concurrent_pair_without_a_scheduler_writes_twice():
    both = asyncio.Event()
    arrived: list[Any] = []

    async def once_both_are_there(request: Any) -> str:
        arrived.append(request)
        if len(arrived) == 2:
            both.set()
        await both.wait()
        await clock.advance(1.0)
        return "ok"

    clock = VirtualClock()
    async with (
        serve(once_both_are_there, clock=clock) as emulator,
        Runtime("memory:", base_url=emulator.base_url, clock=clock.now, scheduling=None) as runtime,
    ):
        await asyncio.gather(runtime.run(STATIC, "same"), runtime.run(STATIC, "same"))
        calls = await runtime.ledger.calls()
        billed = {line.message_id: line.charge for line in emulator.statement.lines}

    (miss,) = misses(calls)

    charge = billed[miss.call.message_id or ""]
    assert miss.cause is Cause.CONCURRENT
    assert miss.lost_tokens == charge.write_5m_tokens + charge.write_1h_tokens > 1000


async def test_a_cache_that_forgot_is_told_as_unexplained():
    async with staged(lambda request: "ok") as on:
        await on.runtime.run(STATIC, "one", conversation="c")
        await on.pause(0.5)
        on.emulator.api.reset()
        await on.runtime.run(STATIC, "two", conversation="c")
        await on.pause(0.5)
        first, second = await on.runtime.ledger.calls()

    (miss,) = misses([first, second])

    assert miss.cause is Cause.UNEXPLAINED
    assert first.usage is not None
    assert miss.lost_tokens == cached_tokens(first.usage)


async def test_a_prompt_that_nobody_marked_was_never_written():
    unmarked = Agent(name="clerk", model=MODEL, prompt=Prompt(static=prose("orders", 300)), cache="off")
    async with staged(lambda request: "ok") as on:
        for question in ("one", "two"):
            await on.runtime.run(unmarked, question)
            await on.pause(0.5)
        calls = await on.calls()

    (miss,) = misses(calls)

    assert miss.cause is Cause.NEVER_WRITTEN
    assert miss.lost_tokens > 2000


async def test_a_prompt_under_the_minimum_loses_nothing():
    short = Agent(name="clerk", model=MODEL, prompt=Prompt(static="Be brief."))
    async with staged(lambda request: "ok") as on:
        for question in ("one", "two"):
            await on.runtime.run(short, question)
            await on.pause(0.5)
        calls = await on.calls()

    (miss,) = misses(calls)

    assert (miss.cause, miss.lost_tokens, miss.lost_usd) == (Cause.BELOW_MINIMUM, 0, Decimal(0))


async def test_healthy_growth_and_new_conversations_are_no_misses():
    async with staged(lambda request: "ok") as on:
        for conversation in ("a", "b"):
            for question in ("one", "two", "three"):
                await on.runtime.run(SESSION, question, session={"now": conversation}, conversation=conversation)
                await on.pause(0.5)
        calls = await on.calls()

    assert len(calls) == 6
    assert misses(calls) == ()
