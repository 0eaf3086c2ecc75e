"""Which layer was billed what, from the ledger, held against the emulator's bill."""

from __future__ import annotations

from decimal import Decimal

from agentcache import Agent, Prompt
from agentcache.accounting.layers import LayerRow, summarise_layers
from agentcache.accounting.usage import Usage
from tests.scenarios.stage import MODEL, Stage, prose, staged

CLERK = Agent(
    name="clerk",
    model=MODEL,
    prompt=Prompt(static=prose("orders", 150), session="{{ customer }} asks. " + prose("c", 120)),
)


async def by_layer(on: Stage) -> dict[str | None, LayerRow]:
    """Return the rows by layer, checked against the emulator's bill in every bucket."""
    calls = await on.calls()
    summary = summarise_layers(calls)
    billed = sum((call.usage for call in calls), Usage())
    assert summary.total.usage == Usage(
        uncached_input_tokens=billed.uncached_input_tokens,
        cache_write_5m_tokens=billed.cache_write_5m_tokens,
        cache_write_1h_tokens=billed.cache_write_1h_tokens,
        cache_read_tokens=billed.cache_read_tokens,
    )
    assert summary.unattributed.calls == 0
    assert sum((row.priced_usd for row in summary.rows), Decimal(0)) == summary.total.cost_usd
    return {row.layer: row for row in summary.rows}


async def test_a_session_that_changes_is_written_again_and_the_static_layer_is_read():
    async with staged(lambda request: "ok") as on:
        for customer in ("Ana", "Bo", "Cy"):
            await on.runtime.run(CLERK, "What is new?", session={"customer": customer})
            await on.pause(0.5)
        rows = await by_layer(on)

    static, session = rows["static"].usage, rows["session"].usage
    assert static.cache_read_tokens > 1.9 * static.cache_write_tokens
    assert session.cache_write_tokens > 2 * 900
    assert session.cache_read_tokens < 50


async def test_a_conversation_writes_each_layer_once_and_reads_it_from_then_on():
    async with staged(lambda request: "ok") as on:
        for question in ("one", "two", "three"):
            await on.runtime.run(CLERK, question, session={"customer": "Ana"}, conversation="c")
            await on.pause(0.5)
        rows = await by_layer(on)

    assert rows["static"].usage.read_share is not None
    assert rows["static"].usage.read_share > 0.6
    assert sum(row.rewritten_tokens for row in rows.values()) == 0
    assert list(rows) == ["static", "session", "history", "turn"]


async def test_what_expired_is_no_rewrite():
    async with staged(lambda request: "ok") as on:
        await on.runtime.run(CLERK, "one", session={"customer": "Ana"})
        await on.pause(0.5)
        await on.pause(61)
        await on.runtime.run(CLERK, "one", session={"customer": "Ana"})
        await on.pause(0.5)
        rows = await by_layer(on)

    assert rows["static"].usage.cache_read_tokens == 0
    assert sum(row.rewritten_tokens for row in rows.values()) == 0
