"""Limits, and the meter that counts against them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agentcache.accounting.usage import CallRecord, Usage
from agentcache.errors import LimitReached, SettingsError
from agentcache.runtime.limits import Limits, Meter


def row(*, tokens: int = 10, cost_usd: str | None = "0.01", usage_known: bool = True) -> CallRecord:
    usage = Usage(uncached_input_tokens=tokens) if usage_known else None
    return CallRecord(
        call_id="call",
        run_id="run",
        agent="a",
        model="m",
        sent_at=0.0,
        usage=usage,
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
    )


def meter(limits: Limits, parent: Meter | None = None) -> Meter:
    return Meter(limits=limits, started_at=100.0, parent=parent)


def test_the_turn_after_the_last_allowed_one_is_refused_with_what_was_spent():
    counted = meter(Limits(turns=1))
    counted.begin_turn(at=100.0, run="scout")
    counted.add(row(tokens=7))
    with pytest.raises(LimitReached, match="scout: the limit of 1 turns is reached") as caught:
        counted.begin_turn(at=101.5, run="scout")
    assert caught.value.limit == "turns"
    assert caught.value.spent.tokens == 7
    assert caught.value.spent.cost_usd == Decimal("0.01")
    assert caught.value.spent.seconds == 1.5


@pytest.mark.parametrize("limits", [Limits(tokens=10), Limits(usd="0.01"), Limits(seconds=0.0)])
def test_tokens_dollars_and_seconds_are_bounds_too(limits):
    counted = meter(limits)
    counted.add(row())
    with pytest.raises(LimitReached):
        counted.begin_turn(at=100.0, run="scout")


def test_what_a_nested_run_spends_counts_for_the_run_above():
    above = meter(Limits(tokens=15))
    below = meter(Limits(), parent=above)
    below.add(row(tokens=10))
    below.begin_turn(at=100.0, run="scout")
    below.add(row(tokens=10))
    with pytest.raises(LimitReached):
        below.begin_turn(at=100.0, run="scout")
    assert above.turns == 1


def test_an_unpriced_call_makes_the_cost_unknown_not_zero():
    counted = meter(Limits())
    counted.add(row())
    counted.add(row(cost_usd=None))
    counted.add(row())
    assert counted.cost_usd is None


def test_a_dollar_limit_over_unpriced_calls_is_refused():
    counted = meter(Limits(usd=1))
    counted.add(row(cost_usd=None))
    with pytest.raises(SettingsError, match="priced"):
        counted.begin_turn(at=100.0, run="scout")


def test_a_call_of_unknown_usage_adds_nothing_to_the_sums():
    counted = meter(Limits())
    counted.add(row(cost_usd=None, usage_known=False))
    assert (counted.usage.total_tokens, counted.cost_usd) == (0, Decimal(0))


def test_the_nearest_time_bound_holds():
    above = Meter(limits=Limits(seconds=5), started_at=98.0)
    assert meter(Limits(seconds=60), parent=above).seconds_left(at=100.0) == 3.0


@pytest.mark.parametrize("bad", [{"turns": -1}, {"usd": "ten"}, {"seconds": -0.5}])
def test_a_limit_is_a_number_from_zero_on(bad):
    with pytest.raises(SettingsError):
        Limits(**bad)


def test_the_bounds_of_a_run_replace_those_of_its_agent_one_by_one():
    assert Limits(turns=50, tokens=9).replaced_by(Limits(tokens=5)) == Limits(turns=50, tokens=5)
