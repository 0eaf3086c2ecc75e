"""The worst case of a call: an upper bound of every bill that a cache can lead to."""

from __future__ import annotations

import os
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
@settings(max_examples=150, deadline=None)
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
