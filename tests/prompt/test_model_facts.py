"""The facts table: complete, dated, priced by day and by prompt length, and found under every spelling of a name."""

import tomllib
from dataclasses import fields
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import get_args

import pytest
from anthropic.types.model_param import ModelParam

from agentcache.prompt.model_facts import ModelFacts, Prices, all_facts, facts_for, price_modifiers

SDK_MODELS = [name for part in get_args(ModelParam) for name in get_args(part)]


@pytest.mark.parametrize("model", SDK_MODELS)
def test_every_model_that_the_sdk_lists_is_known(model):
    facts = facts_for(model)
    assert facts.known
    assert facts.model == model


def test_every_key_of_the_file_is_read():
    document = tomllib.loads(files("agentcache.prompt").joinpath("model_facts.toml").read_text("utf-8"))
    read = {field.name for field in fields(ModelFacts)} - {"model", "canonical", "known"}
    written = {key for entry in document["model"] for key in entry} - {"id", "aliases"}
    assert written == read
    assert set(document) == {"modifiers", "names", "unknown", "model"}


def test_every_entry_is_dated_and_sourced():
    for facts in all_facts():
        assert date.fromisoformat(facts.checked) <= date(2026, 11, 21)
        assert facts.source
        assert facts.doubt or facts.confidence == "H", facts.model


def test_only_models_without_a_published_price_are_unpriced():
    assert [facts.model for facts in all_facts() if facts.prices_for() is None] == ["claude-mythos-preview"]


def test_writes_cost_more_than_input_and_reads_less():
    for facts in all_facts():
        for period in facts.prices:
            for prices in filter(None, (period.prices, period.fast)):
                assert prices.write_5m_usd == prices.input_usd * Decimal("1.25")
                assert prices.write_1h_usd == prices.input_usd * 2
                assert prices.read_usd <= prices.input_usd / 10
                assert prices.output_usd == prices.input_usd * 5


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-5", "claude-opus-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("publishers/anthropic/models/claude-opus-4-7@default", "claude-opus-4-7"),
        ("claude-3-5-haiku-latest", "claude-haiku-3-5"),
        ("claude-opus-5-5[1m]", "claude-opus-5-5"),
        ("claude-fable-5-2-20261109", "claude-fable-5-2"),
    ],
)
def test_platform_spellings_find_the_same_facts_and_keep_their_name(spelling, canonical):
    facts = facts_for(spelling)
    assert (facts.canonical, facts.model, facts.known) == (canonical, spelling, True)
    assert facts.prices == facts_for(canonical).prices


@pytest.mark.parametrize("name", ["claude-haiku-9", "haiku", "gpt-5", "", "my-claude-opus-5-deployment"])
def test_an_unknown_name_is_taken_conservatively_and_never_by_its_looks(name):
    facts = facts_for(name)
    assert not facts.known
    assert facts.minimum_prefix_tokens == max(known.minimum_prefix_tokens for known in all_facts())
    assert facts.prices_for() is None
    optional = (facts.forced_tool_choice, facts.adaptive_thinking, facts.structured_outputs, facts.per_message_effort)
    assert not any(optional)
    assert facts.efforts == ()


def prices_of(model, **when) -> Prices:
    prices = facts_for(model).prices_for(**when)
    assert prices is not None
    return prices


def test_sonnet_5_5_reads_became_cheaper_on_the_7th_of_october_2026():
    reads = [
        prices_of("claude-sonnet-5-5", on=day).read_usd for day in ("2026-09-28", "2026-10-06", "2026-10-07", None)
    ]
    assert reads == [Decimal("0.20"), Decimal("0.20"), Decimal("0.10"), Decimal("0.10")]


def test_haiku_5_5_charges_every_token_more_past_100_000():
    short, long = (prices_of("claude-haiku-5-5", prompt_tokens=tokens) for tokens in (100_000, 100_001))
    assert (short.input_usd, short.read_usd, short.output_usd) == (Decimal("0.10"), Decimal("0.01"), Decimal("0.50"))
    assert (long.input_usd, long.read_usd, long.output_usd) == (Decimal("0.50"), Decimal("0.05"), Decimal("2.50"))


def test_fast_mode_has_its_own_prices_or_none():
    fast = prices_of("claude-opus-5-5", fast=True)
    assert (fast.input_usd, fast.read_usd, fast.output_usd) == (Decimal(8), Decimal("0.40"), Decimal(40))
    assert facts_for("claude-sonnet-5-5").prices_for(fast=True) is None


def test_the_minimum_is_not_monotonic_over_generations():
    minimums = {facts.model: facts.minimum_prefix_tokens for facts in all_facts()}
    assert [minimums[f"claude-opus-{v}"] for v in ("4-1", "4-6", "4-7", "4-8", "5-5")] == [1024, 4096, 2048, 1024, 512]


def test_default_effort_is_one_of_the_efforts_or_absent_with_them():
    for facts in all_facts():
        assert (facts.default_effort in facts.efforts) if facts.efforts else facts.default_effort is None


def test_modifiers_are_exact_decimals():
    modifiers = price_modifiers()
    assert (modifiers.batch, modifiers.us_inference, modifiers.web_search_usd) == (
        Decimal("0.5"),
        Decimal("1.1"),
        Decimal("0.01"),
    )
