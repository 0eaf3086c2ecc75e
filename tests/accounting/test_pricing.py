"""Prices of spec section 9, with sums worked out by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.pricing import cost_usd, counterfactual_usd, plain_usd, price_record, token_prices, utc_day
from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage
from agentcache.prompt.model_facts import Prices, all_facts

NOVEMBER = "2026-11-20"
MIX = Usage(
    uncached_input_tokens=1000,
    cache_write_5m_tokens=2000,
    cache_write_1h_tokens=3000,
    cache_read_tokens=40_000,
    output_tokens=500,
)


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        # uncached·1000 + 5m·2000 + 1h·3000 + read·40000 + output·500, a millionth each
        ("claude-fable-5-2", "0.104"),  # 8000 + 20000 + 48000 + 8000 + 20000
        ("claude-mythos-5-1", "0.130"),  # 10000 + 25000 + 60000 + 10000 + 25000
        ("claude-fable-5", "0.160"),  # 10000 + 25000 + 60000 + 40000 + 25000
        ("claude-opus-5-5", "0.056"),  # 4000 + 10000 + 24000 + 8000 + 10000
        ("claude-opus-4-8", "0.080"),  # 5000 + 12500 + 30000 + 20000 + 12500
        ("claude-sonnet-5-5", "0.028"),  # 2000 + 5000 + 12000 + 4000 + 5000
        ("claude-sonnet-5", "0.032"),  # 2000 + 5000 + 12000 + 8000 + 5000
        ("claude-sonnet-4-5", "0.048"),  # 3000 + 7500 + 18000 + 12000 + 7500
        ("claude-haiku-5-5", "0.0016"),  # 100 + 250 + 600 + 400 + 250
        ("claude-haiku-4-5", "0.016"),  # 1000 + 2500 + 6000 + 4000 + 2500
    ],
)
def test_a_call_costs_what_the_table_says(model: str, dollars: str):
    assert cost_usd(BilledPart(model=model, usage=MIX), on=NOVEMBER) == Decimal(dollars)


def test_the_price_is_that_of_the_day():
    reads = BilledPart(model="claude-sonnet-5-5", usage=Usage(cache_read_tokens=1_000_000))

    assert cost_usd(reads, on="2026-10-06") == Decimal("0.20")
    assert cost_usd(reads, on="2026-10-07") == Decimal("0.10")
    assert cost_usd(reads) == Decimal("0.10"), "without a day, the newest price"


def test_a_long_prompt_pays_the_higher_tier_on_every_token():
    """Haiku 5.5: beyond 100,000 tokens of prompt, cache reads and writes counted, the answer too."""
    short = Usage(uncached_input_tokens=10_000, cache_read_tokens=90_000, output_tokens=1000)
    long = replace(short, cache_read_tokens=90_001)

    assert cost_usd(BilledPart(model="claude-haiku-5-5", usage=short)) == Decimal("0.0024")
    assert cost_usd(BilledPart(model="claude-haiku-5-5", usage=long)) == Decimal("0.01200005")


def test_a_batch_costs_half():
    part = BilledPart(model="claude-opus-5", usage=MIX)

    assert cost_usd(replace(part, service_tier="batch")) == Decimal("0.040")
    assert cost_usd(replace(part, service_tier="priority")) == Decimal("0.080")


def test_fast_mode_has_prices_of_its_own():
    fast = BilledPart(model="claude-opus-5", usage=MIX, speed="fast")

    # 10000 + 25000 + 60000 + 40000 + 25000
    assert cost_usd(fast, on=NOVEMBER) == Decimal("0.160")
    assert cost_usd(replace(fast, model="claude-sonnet-5-5"), on=NOVEMBER) is None, "it has no fast mode"


def test_inference_in_the_us_costs_a_tenth_more_from_four_six_on():
    part = BilledPart(model="claude-opus-5", usage=MIX, inference_geo="us")

    assert cost_usd(part) == Decimal("0.088")
    assert cost_usd(replace(part, service_tier="batch")) == Decimal("0.044")
    assert cost_usd(replace(part, inference_geo="global")) == Decimal("0.080")
    assert cost_usd(replace(part, model="claude-sonnet-4-5")) == Decimal("0.048")


def test_web_searches_cost_a_cent_each_and_are_not_discounted():
    part = BilledPart(model="claude-opus-5", usage=MIX, service_tier="batch", web_searches=3)

    assert cost_usd(part) == Decimal("0.070")


def test_a_token_of_each_bucket_has_its_price_with_what_modifies_it():
    part = BilledPart(model="claude-opus-5-5", usage=MIX)
    assert token_prices(part, on=NOVEMBER) == Prices(
        input_usd=Decimal("0.000004"),
        write_5m_usd=Decimal("0.000005"),
        write_1h_usd=Decimal("0.000008"),
        read_usd=Decimal("0.0000002"),
        output_usd=Decimal("0.000020"),
    )
    batch = token_prices(replace(part, service_tier="batch"), on=NOVEMBER)
    assert batch is not None
    assert (batch.input_usd, batch.output_usd) == (Decimal("0.000002"), Decimal("0.000010"))
    in_the_us = token_prices(replace(part, inference_geo="us"), on=NOVEMBER)
    assert in_the_us is not None
    assert (in_the_us.input_usd, in_the_us.read_usd) == (Decimal("0.0000044"), Decimal("0.00000022"))
    assert token_prices(BilledPart(model="claude-next-9", usage=MIX)) is None


def test_a_token_has_the_price_of_the_day_and_of_the_prompts_length_and_of_fast_mode():
    reads = BilledPart(model="claude-sonnet-5-5", usage=Usage(cache_read_tokens=1_000_000))
    assert [_read_usd(reads, on=day) for day in ("2026-10-06", None)] == [Decimal("2E-7"), Decimal("1E-7")]
    tiered = [
        BilledPart(model="claude-haiku-5-5", usage=Usage(cache_read_tokens=tokens)) for tokens in (100_000, 100_001)
    ]
    assert [_read_usd(part) * 1_000_000 for part in tiered] == [Decimal("0.01"), Decimal("0.05")]
    fast = BilledPart(model="claude-opus-5-5", usage=MIX, speed="fast")
    assert _read_usd(fast) > _read_usd(replace(fast, speed=None))


def _read_usd(part: BilledPart, *, on: str | None = None) -> Decimal:
    prices = token_prices(part, on=on)
    assert prices is not None
    return prices.read_usd


def test_an_unknown_model_has_no_price():
    part = BilledPart(model="acme-large-9", usage=MIX)

    assert cost_usd(part) is None
    assert counterfactual_usd(part) is None


def test_nothing_costs_nothing_whatever_the_model():
    assert cost_usd(BilledPart(model="acme-large-9", usage=Usage())) == 0


def test_without_caching_the_whole_prompt_pays_the_base_price():
    # 46,000 tokens of prompt at 5 dollars, 500 of answer at 25
    assert counterfactual_usd(BilledPart(model="claude-opus-5", usage=MIX)) == Decimal("0.2425")


def test_without_caching_a_long_prompt_is_just_as_long():
    usage = Usage(cache_read_tokens=100_001)

    assert counterfactual_usd(BilledPart(model="claude-haiku-5-5", usage=usage)) == Decimal("0.0500005")


# --- records ----------------------------------------------------------------------------------------------------------

CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="support",
    model="claude-sonnet-5-5",
    sent_at=datetime(2026, 10, 7, tzinfo=UTC).timestamp(),
    usage=Usage(cache_read_tokens=1_000_000),
)


def test_a_record_is_priced_for_the_utc_day_on_which_it_was_sent():
    assert price_record(CALL).cost_usd == Decimal("0.10")
    assert price_record(replace(CALL, sent_at=CALL.sent_at - 1)).cost_usd == Decimal("0.20")
    assert price_record(CALL).counterfactual_usd == Decimal("2")


@pytest.mark.parametrize("zone", ["UTC-14", "UTC+12"])
def test_the_day_is_that_of_utc_wherever_the_machine_stands(zone: str, monkeypatch: pytest.MonkeyPatch):
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", zone)
        time.tzset()
        days = [utc_day(at_s) for at_s in (noon - 43_200, noon, noon + 43_199)]
    time.tzset()
    assert days == [NOVEMBER] * 3


def test_a_record_costs_the_sum_of_its_own_parts():
    parts = (
        BilledPart(model="claude-fable-5", usage=Usage(output_tokens=1000)),
        BilledPart(model="claude-opus-4-8", usage=Usage(output_tokens=1000)),
        BilledPart(model="claude-opus-5", usage=Usage(output_tokens=1000), kind=CallKind.ADVISOR),
    )
    record = replace(CALL, usage=Usage(output_tokens=2000), parts=parts)

    assert price_record(record).cost_usd == Decimal("0.075"), "50 + 25 dollars a million; the advisor has its own row"


def test_iterations_are_tiered_one_by_one():
    """Three prompts of 60,000 tokens are no prompt of 180,000."""
    one = BilledPart(model="claude-haiku-5-5", usage=Usage(uncached_input_tokens=60_000))
    record = replace(CALL, model="claude-haiku-5-5", usage=Usage(uncached_input_tokens=180_000), parts=(one,) * 3)

    assert price_record(record).cost_usd == Decimal("0.018")


def test_a_record_with_an_unpriced_part_has_no_cost():
    parts = (*replace(CALL).own_parts, BilledPart(model="acme-large-9", usage=Usage(output_tokens=1)))

    assert price_record(replace(CALL, parts=parts)).cost_usd is None


def test_a_record_of_unknown_usage_has_no_cost():
    assert price_record(replace(CALL, usage=None)).cost_usd is None


def test_a_refused_call_costs_nothing():
    refused = price_record(replace(CALL, usage=Usage(), error="CallRejected: 400"))

    assert (refused.cost_usd, refused.counterfactual_usd) == (Decimal(0), Decimal(0))


# --- properties -------------------------------------------------------------------------------------------------------

UNTIERED = [
    facts.model for facts in all_facts() if facts.prices and all(p.up_to_prompt_tokens is None for p in facts.prices)
]
usages = st.builds(
    Usage,
    uncached_input_tokens=st.integers(0, 10**7),
    cache_write_5m_tokens=st.integers(0, 10**7),
    cache_write_1h_tokens=st.integers(0, 10**7),
    cache_read_tokens=st.integers(0, 10**9),
    output_tokens=st.integers(0, 10**6),
)
parts = st.builds(
    BilledPart,
    model=st.sampled_from(UNTIERED),
    usage=st.just(Usage()),
    service_tier=st.sampled_from([None, "standard", "batch"]),
    inference_geo=st.sampled_from([None, "us", "global"]),
)


def known(part: BilledPart, usage: Usage) -> Decimal:
    amount = cost_usd(replace(part, usage=usage))
    assert amount is not None
    return amount


@given(parts, usages, usages)
@settings(max_examples=2 * settings().max_examples)
def test_cost_is_additive_where_there_are_no_tiers(part, first, second):
    assert known(part, first + second) == known(part, first) + known(part, second)


@given(st.sampled_from([facts.model for facts in all_facts()]), usages)
@settings(max_examples=2 * settings().max_examples)
def test_reads_never_cost_more_than_no_caching(model, usage):
    read_only = replace(usage, cache_write_5m_tokens=0, cache_write_1h_tokens=0)
    part = BilledPart(model=model, usage=read_only)
    cost, without = cost_usd(part), counterfactual_usd(part)

    assert (cost is None) == (without is None)
    assert cost is None or without is None or cost <= without


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**9), max_value=10**9))
@settings(max_examples=2 * settings().max_examples)
def test_dollars_as_text_parse_back(amount):
    assert Decimal(plain_usd(amount)) == amount
    assert "E" not in plain_usd(amount)


def test_dollars_have_no_exponent_and_no_tail():
    assert [plain_usd(Decimal(text)) for text in ("1E+3", "0E-8", "0.1500", "-1E-7")] == [
        "1000",
        "0",
        "0.15",
        "-0.0000001",
    ]
