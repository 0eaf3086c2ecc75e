"""What lost tokens cost: at the lifetime, the day, the speed and the tier of the call that paid."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.explaining.lost_money import lost_usd
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.model_facts import facts_for
from tests.accounting.explaining.small_logs import calls_of

MODEL = "claude-opus-5"
PRICES = facts_for(MODEL).prices_for()
assert PRICES is not None


def lost(usage: Usage, *, at_s: float = 0.0, model: str = MODEL, **told: str) -> Decimal | None:
    call = calls_of([{"model": model, "messages": []}], starts_s=at_s)[0]
    return lost_usd(replace(call, bill=BilledPart(model=model, usage=usage, **told)), 1_000_000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usage", "paid"),
    [
        (Usage(cache_write_5m_tokens=1_000_000), PRICES.write_5m_usd),
        (Usage(cache_write_1h_tokens=1_000_000), PRICES.write_1h_usd),
        (Usage(uncached_input_tokens=1_000_000), PRICES.input_usd),
        (
            Usage(cache_write_1h_tokens=500_000, cache_write_5m_tokens=500_000),
            (PRICES.write_1h_usd + PRICES.write_5m_usd) / 2,
        ),
    ],
    ids=["five minutes", "an hour", "not written", "both"],
)
def test_what_was_written_again_cost_the_write_of_its_lifetime(usage: Usage, paid: Decimal) -> None:
    assert lost(usage) == paid - PRICES.read_usd


def test_what_was_written_for_five_minutes_is_what_the_hour_left_over() -> None:
    usage = Usage(cache_write_1h_tokens=700_000, cache_write_5m_tokens=500_000)
    paid = PRICES.write_1h_usd * Decimal("0.7") + PRICES.write_5m_usd * Decimal("0.3")
    assert lost(usage) == paid - PRICES.read_usd


@pytest.mark.parametrize("at_s", [0.0, 20_000_000_000.0])
def test_a_call_whose_seconds_are_no_dates_pays_the_newest_prices(at_s: float) -> None:
    model, usage = "claude-sonnet-5-5", Usage(cache_write_5m_tokens=1_000_000)
    newest = facts_for(model).prices_for()
    assert newest is not None
    assert lost(usage, at_s=at_s, model=model) == newest.write_5m_usd - newest.read_usd


def test_a_batch_pays_half_and_fast_mode_its_own_price() -> None:
    usage = Usage(cache_write_5m_tokens=1_000_000)
    plain = lost(usage)
    fast = facts_for(MODEL).prices_for(fast=True)
    assert plain is not None
    assert fast is not None
    assert lost(usage, service_tier="batch") == plain / 2
    assert lost(usage, speed="fast") == fast.write_5m_usd - fast.read_usd


def test_a_dated_call_pays_the_prices_of_its_day() -> None:
    model = "claude-sonnet-5-5"
    dates = ("2026-10-06", "2026-10-08")
    before, after = (facts_for(model).prices_for(on=day) for day in dates)
    assert before is not None
    assert after is not None
    assert before != after
    usage = Usage(cache_write_5m_tokens=1_000_000)
    seconds = (1_791_244_800.0, 1_791_417_600.0)
    told = [lost(usage, at_s=at_s, model=model) for at_s in seconds]
    assert told == [prices.write_5m_usd - prices.read_usd for prices in (before, after)]


def test_without_a_bill_or_a_price_it_is_not_known() -> None:
    assert lost_usd(calls_of([{"model": MODEL, "messages": []}])[0], 10) is None
    assert lost(Usage(cache_write_5m_tokens=9), model="somebody-elses-model") is None
