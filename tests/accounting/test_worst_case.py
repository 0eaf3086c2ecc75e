"""The worst case of a call: an upper bound of every bill that a cache can lead to."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.usage import Usage
from agentcache.accounting.worst_case import (
    PROMPT_EXTRA_TOKENS,
    PROMPT_MARGIN,
    prompt_usage,
    usage_usd,
    worst_case,
    worst_usage,
)
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import Ttl, all_facts, facts_for
from agentcache.prompt.plans import Plan, Policy
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from tests.prompt.test_token_estimate import RECORDED, recorded_requests
from tests.prompt.whole_requests import request_tokens

MODELS = [facts.model for facts in all_facts() if facts.prices]


def planned(
    model: str, *, policy: Policy = "layers", ttls: tuple[Ttl, ...] = (), words: int = 2000
) -> tuple[Layout, Plan]:
    """Lay out a system prompt of as many sections as there are lifetimes, and a question."""
    sections = [
        RenderedSection(name=f"s{at}", stability=Stability.STATIC, text="word " * words, breakpoint=ttl)
        for at, ttl in enumerate(ttls or (None,))
    ]
    layout = lay_out(
        facts=facts_for(model),
        tools=[],
        system=sections,
        messages=[{"role": "user", "content": [{"type": "text", "text": "and now? " * 50}]}],
    )
    return layout, plan(layout, facts_for(model), policy=policy)


def test_a_cold_prompt_is_written_to_its_last_breakpoint_and_uncached_behind_it():
    layout, chosen = planned("claude-opus-5", ttls=("1h", "5m"))
    cold = prompt_usage(layout, chosen)
    first, last = layout.blocks[0].prefix_tokens, max(point.prefix_tokens for point in chosen.kept)
    assert cold == Usage(
        cache_write_1h_tokens=first,
        cache_write_5m_tokens=last - first,
        uncached_input_tokens=layout.total_tokens - last,
    )


def test_what_is_found_is_read_and_only_the_rest_is_written():
    layout, chosen = planned("claude-opus-5", ttls=("1h", "5m"))
    first = layout.blocks[0].prefix_tokens
    warm = prompt_usage(layout, chosen, found_tokens=first)
    assert (warm.cache_read_tokens, warm.cache_write_1h_tokens) == (first, 0)
    assert warm.input_tokens == prompt_usage(layout, chosen).input_tokens


def test_without_breakpoints_nothing_is_written():
    layout, chosen = planned("claude-opus-5", policy="off")
    assert prompt_usage(layout, chosen) == Usage(uncached_input_tokens=layout.total_tokens)


def test_the_worst_case_has_the_margin_and_the_whole_answer():
    layout, chosen = planned("claude-opus-5", policy="off")
    worst = worst_usage(layout, chosen, max_tokens=700)
    assert worst.output_tokens == 700
    assert worst.input_tokens >= (layout.total_tokens + PROMPT_EXTRA_TOKENS) * PROMPT_MARGIN


def test_a_prompt_that_could_be_longer_than_a_price_tier_pays_the_higher_one():
    layout, chosen = planned("claude-haiku-5-5", policy="off", words=70_000)
    assert layout.total_tokens < 100_000, "by its estimate it is in the lower tier"
    usage = worst_usage(layout, chosen, max_tokens=0)
    dear = facts_for("claude-haiku-5-5").prices_for(prompt_tokens=100_001)
    assert dear is not None
    assert usage_usd(usage, model="claude-haiku-5-5", at_s=1.8e9) == usage.input_tokens * dear.input_usd / 1_000_000


def test_a_model_without_prices_has_a_worst_case_in_tokens_alone():
    worst = worst_case(Usage(cache_write_5m_tokens=100, output_tokens=7), model="claude-next-9", at_s=0.0)
    assert (worst.tokens, worst.usd) == (Decimal(132), None)


def test_a_worst_case_has_the_dollars_of_its_day():
    reads = Usage(cache_read_tokens=1_000_000)
    october, november = (
        worst_case(reads, model="claude-sonnet-5-5", at_s=datetime(2026, month, 6, tzinfo=UTC).timestamp())
        for month in (10, 11)
    )
    assert (october.usd, november.usd) == (Decimal("0.20"), Decimal("0.10"))


def test_what_stands_beside_the_blocks_is_written_in_front_of_them_and_found_with_them():
    layout, chosen = planned("claude-opus-5", ttls=("1h", "5m"))
    first, last = layout.blocks[0].prefix_tokens, max(point.prefix_tokens for point in chosen.kept)
    assert prompt_usage(layout, chosen, beside_tokens=300) == Usage(
        cache_write_1h_tokens=first + 300,
        cache_write_5m_tokens=last - first,
        uncached_input_tokens=layout.total_tokens - last,
    )
    assert prompt_usage(layout, chosen, found_tokens=first, beside_tokens=300) == Usage(
        cache_read_tokens=first + 300,
        cache_write_5m_tokens=last - first,
        uncached_input_tokens=layout.total_tokens - last,
    )


def test_nothing_stands_beside_the_blocks_unless_it_is_said():
    layout, chosen = planned("claude-opus-5", ttls=("5m",))
    assert prompt_usage(layout, chosen) == prompt_usage(layout, chosen, beside_tokens=0)
    plain, beside = (worst_usage(layout, chosen, max_tokens=0, beside_tokens=tokens) for tokens in (0, 4))
    assert worst_usage(layout, chosen, max_tokens=0) == plain
    assert beside.input_tokens == plain.input_tokens + 5, "four, and a quarter more"


def test_a_prompt_whose_last_breakpoint_lives_an_hour_is_written_for_the_hour_up_to_it():
    layout, chosen = planned("claude-opus-5", ttls=("1h",))
    first = layout.blocks[0].prefix_tokens
    alone = replace(chosen, kept=chosen.kept[:1])
    assert prompt_usage(layout, alone) == Usage(
        cache_write_1h_tokens=first, uncached_input_tokens=layout.total_tokens - first
    )


def test_no_more_is_found_than_was_marked():
    layout, chosen = planned("claude-opus-5", ttls=("5m",))
    last = max(point.prefix_tokens for point in chosen.kept)
    warm = prompt_usage(layout, chosen, found_tokens=last + 1000)
    assert warm == Usage(cache_read_tokens=last, uncached_input_tokens=layout.total_tokens - last)


def test_a_single_token_that_is_found_is_read():
    layout, chosen = planned("claude-opus-5", ttls=("5m",))
    assert prompt_usage(layout, chosen, found_tokens=1).cache_read_tokens == 1


def test_the_margin_is_on_each_bucket_and_rounded_up():
    layout, chosen = planned("claude-opus-5", ttls=("1h", "5m"))
    cold = prompt_usage(layout, chosen, beside_tokens=7 + PROMPT_EXTRA_TOKENS)
    assert worst_usage(layout, chosen, max_tokens=700, beside_tokens=7) == Usage(
        cache_write_1h_tokens=-(-cold.cache_write_1h_tokens * 5 // 4),
        cache_write_5m_tokens=-(-cold.cache_write_5m_tokens * 5 // 4),
        uncached_input_tokens=-(-cold.uncached_input_tokens * 5 // 4),
        output_tokens=700,
    )


@pytest.mark.skipif(not RECORDED.exists() and not os.environ.get("CI"), reason=f"no recordings at {RECORDED}")
def test_the_margin_covers_nearly_every_recorded_request():
    billed = [
        (true, (request_tokens(request, facts) + PROMPT_EXTRA_TOKENS) * PROMPT_MARGIN)
        for facts, request, true in recorded_requests()
    ]
    beyond = [true for true, at_most in billed if true > at_most]
    assert len(billed) > 300
    assert len(beyond) <= len(billed) // 100
    assert max(beyond, default=0) < 5000, "long prompts, which cost, are all covered"


@given(
    model=st.sampled_from(MODELS),
    policy=st.sampled_from(["layers", "automatic", "off"]),
    ttls=st.sampled_from([(), ("5m",), ("1h",), ("1h", "5m"), ("1h", "1h", "5m")]),
    found=st.floats(0, 1),
    longer=st.floats(0.3, 1.25),
    answer=st.integers(0, 5000),
    beside=st.integers(0, 300),
)
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_no_bill_within_the_margin_exceeds_it(model, policy, ttls, found, longer, answer, beside):
    layout, chosen = planned(model, policy=policy, ttls=ttls, words=300)
    cold = prompt_usage(layout, chosen, found_tokens=int(layout.total_tokens * found), beside_tokens=beside)
    billed = Usage(
        uncached_input_tokens=int(cold.uncached_input_tokens * longer),
        cache_write_5m_tokens=int(cold.cache_write_5m_tokens * longer),
        cache_write_1h_tokens=int(cold.cache_write_1h_tokens * longer),
        cache_read_tokens=int(cold.cache_read_tokens * longer),
        output_tokens=answer,
    )
    worst = worst_usage(layout, chosen, max_tokens=5000, beside_tokens=beside)
    at_most, paid = (worst_case(usage, model=model, at_s=1.8e9) for usage in (worst, billed))
    assert paid.tokens <= at_most.tokens
    assert paid.usd is not None
    assert at_most.usd is not None
    assert paid.usd <= at_most.usd
