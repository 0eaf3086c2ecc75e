"""Limits, and the meter that counts against them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.usage import CallRecord, Usage
from agentcache.errors import LimitReached, SettingsError, WorstCase
from agentcache.runtime.limits import NO_CALL, Limits, Meter


def row(*, tokens: int = 10, cost_usd: str | None = "0.01", usage_known: bool = True, agent: str = "a") -> CallRecord:
    usage = Usage(uncached_input_tokens=tokens) if usage_known else None
    return CallRecord(
        call_id="call",
        run_id="run",
        agent=agent,
        model="m",
        sent_at=0.0,
        usage=usage,
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
    )


def meter(limits: Limits, parent: Meter | None = None, name: str = "scout") -> Meter:
    return Meter(limits=limits, started_at=100.0, name=name, parent=parent)


def need(tokens: int = 0, usd: str | None = "0") -> WorstCase:
    return WorstCase(tokens=Decimal(tokens), usd=None if usd is None else Decimal(usd))


def refused(counted: Meter, wanted: WorstCase = NO_CALL, *, at: float = 100.0) -> LimitReached:
    refusal = counted.refusal(wanted, at=at, by="scout")
    assert refusal is not None
    return refusal


def test_the_turn_after_the_last_allowed_one_is_refused_with_what_was_spent():
    counted = meter(Limits(turns=1))
    counted.begin_turn("a")
    counted.add(row(tokens=7))
    error = refused(counted, at=101.5)
    assert str(error).startswith("scout: the limit of 1 turns is reached")
    assert (error.limit, error.run) == ("turns", "scout")
    assert (error.spent.tokens, error.spent.cost_usd, error.spent.seconds) == (7, Decimal("0.01"), 1.5)


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        (Limits(tokens=10), need(tokens=1)),
        (Limits(usd="0.01"), need(usd="0.000001")),
        (Limits(seconds=0.0), need()),
    ],
)
def test_tokens_dollars_and_seconds_are_bounds_too(limits, wanted):
    counted = meter(limits)
    counted.add(row())
    assert counted.refusal(wanted, at=100.0, by="scout") is not None


def test_a_call_that_exactly_fits_is_let_through():
    counted = meter(Limits(tokens=15, usd="0.03"))
    counted.add(row())
    assert counted.refusal(need(tokens=5, usd="0.02"), at=100.0, by="scout") is None


def test_the_message_says_how_much_is_missing_and_what_to_raise():
    counted = meter(Limits(usd="0.10"))
    counted.add(row(cost_usd="0.04"))
    error = refused(counted, need(usd="0.08"))
    assert str(error) == (
        "scout: the limit of $0.10 leaves $0.060000 and the next call may use $0.080000; "
        "raise Limits(usd=…) by $0.020000, or lower max_tokens"
    )
    assert error.needed == need(usd="0.08")


def test_the_bound_of_a_run_above_is_named():
    above = meter(Limits(tokens=100), name="review")
    error = refused(meter(Limits(), parent=above), need(tokens=120))
    assert "the limit of 100 weighted tokens of review leaves 100 and the next call may use 120" in str(error)
    assert error.run == "review"


def test_who_spent_it_is_told_by_agent():
    counted = meter(Limits(tokens=20))
    counted.begin_turn("a")
    counted.begin_turn("b")
    counted.add(row(tokens=5, agent="a"))
    counted.add(row(tokens=9, agent="b"))
    by_agent = refused(counted, need(tokens=7)).by_agent
    assert {name: (spent.turns, spent.tokens) for name, spent in by_agent.items()} == {"a": (1, 5), "b": (1, 9)}


def test_what_a_nested_run_spends_counts_for_the_run_above():
    above = meter(Limits(tokens=15))
    below = meter(Limits(), parent=above)
    below.begin_turn("a")
    below.add(row(tokens=10))
    assert below.refusal(need(tokens=6), at=100.0, by="scout") is not None
    assert above.turns == 1


def test_a_cached_token_counts_for_what_it_costs():
    counted = meter(Limits())
    usage = Usage(cache_read_tokens=1000, cache_write_5m_tokens=100, cache_write_1h_tokens=10, output_tokens=1)
    counted.add(replace(row(), model="claude-opus-5", usage=usage))
    # read at 0.1, written at 1.25 and 2, an output token is one
    assert counted.total.weighted_tokens == 100 + 125 + 20 + 1


def test_an_unpriced_call_makes_the_cost_unknown_not_zero():
    counted = meter(Limits())
    counted.add(row())
    counted.add(row(cost_usd=None))
    counted.add(row())
    assert counted.cost_usd is None


@pytest.mark.parametrize("unpriced", ["the call before", "this call"])
def test_a_dollar_limit_over_unpriced_calls_is_refused(unpriced):
    counted = meter(Limits(usd=1))
    if unpriced == "the call before":
        counted.add(row(cost_usd=None))
    with pytest.raises(SettingsError, match="priced"):
        counted.refusal(need(usd=None if unpriced == "this call" else "0"), at=100.0, by="scout")


def test_a_call_of_unknown_usage_counts_at_its_worst_against_bounds_and_adds_nothing_to_the_sums():
    counted = meter(Limits(tokens=100))
    counted.add(row(cost_usd=None, usage_known=False), worst=need(tokens=60, usd="0.5"))
    assert (counted.usage.total_tokens, counted.cost_usd) == (0, Decimal(0))
    assert counted.spent(at=100.0).unknown_calls == 1
    assert counted.left(at=100.0).tokens == 40
    assert counted.refusal(need(tokens=41), at=100.0, by="scout") is not None


def test_what_is_left_is_that_of_the_nearest_bounds_less_what_calls_under_way_may_cost():
    above = Meter(limits=Limits(usd="0.10", seconds=60), started_at=98.0, name="above")
    below = meter(Limits(usd="0.30", turns=5), parent=above)
    below.begin_turn("a")
    below.add(row(cost_usd="0.02"))
    below.hold(need(usd="0.03"))
    assert below.left(at=100.0) == Limits(turns=4, usd="0.05", seconds=58.0)


def test_a_share_is_part_of_every_bound():
    assert Limits(turns=9, usd="0.10", tokens=1001).share(0.5) == Limits(turns=4, usd="0.050", tokens=500)
    with pytest.raises(SettingsError, match="0 to 1"):
        Limits().share(1.5)


def test_the_nearest_time_bound_holds():
    above = Meter(limits=Limits(seconds=5), started_at=98.0)
    below = meter(Limits(seconds=60), parent=above)
    assert below.seconds_left(at=100.0) == 3.0
    assert below.nearest_in_time(at=100.0) is above


@pytest.mark.parametrize("bad", [{"turns": -1}, {"usd": "ten"}, {"seconds": -0.5}])
def test_a_limit_is_a_number_from_zero_on(bad):
    with pytest.raises(SettingsError):
        Limits(**bad)


def test_the_bounds_of_a_run_replace_those_of_its_agent_one_by_one():
    assert Limits(turns=50, tokens=9).replaced_by(Limits(tokens=5)) == Limits(turns=50, tokens=5)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.integers(0, 1000), st.booleans()), max_size=30))
def test_sums_over_agents_and_over_nested_runs_equal_the_run(calls):
    above = meter(Limits())
    below = [meter(Limits(), parent=above) for _ in range(2)]
    for agent, child, tokens, known in calls:
        below[child].begin_turn(agent)
        below[child].add(row(tokens=tokens, agent=agent, usage_known=known), worst=need(tokens=5))
    for parts in (below, list(above.by_agent.values())):
        tallies = [part.total if isinstance(part, Meter) else part for part in parts]
        assert sum(part.turns for part in tallies) == above.turns
        assert sum((part.usage for part in tallies), Usage()) == above.usage
        assert sum(part.weighted_tokens for part in tallies) == above.total.weighted_tokens
        assert sum(part.unknown_calls for part in tallies) == above.total.unknown_calls
