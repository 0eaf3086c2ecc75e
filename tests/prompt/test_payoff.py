"""The sums behind a plan: what pays in expectation, and that more of what speaks for it never speaks against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.payoff import (
    KEEP_ALIVE_MARGIN,
    Rates,
    choose_keep_alive,
    choose_tail,
    layer_pays,
    layer_ttl,
)
from agentcache.prompt.reuse import Outlook

USUAL = Rates()
chances = st.floats(0, 1)
lists_of_chances = st.lists(chances, max_size=11)
tokens = st.integers(0, 200_000)
rates = st.sampled_from([USUAL, Rates(read=0.05), Rates(read=0.025)])


def outlook(soon: float, later: float = 0.0) -> Outlook:
    return Outlook(soon=soon, later=later, basis="test")


# ------------------------------------------------------------------------------------------------- writes


def test_rates_are_the_models_own():
    assert Rates.of(facts_for("claude-opus-5-5"), prompt_tokens=1000).read == pytest.approx(0.05)
    assert Rates.of(facts_for("claude-next-9"), prompt_tokens=1000) == USUAL


@pytest.mark.parametrize(
    ("seen", "ttl"), [(outlook(0.9), "5m"), (outlook(0.0), None), (outlook(0.3, 0.7), "1h"), (outlook(0.0, 0.02), None)]
)
def test_the_tail_is_written_as_it_is_likely_to_be_read(seen, ttl):
    choice = choose_tail(new_tokens=2000, own_tokens=10_000, outlook=seen, rates=USUAL)
    assert choice.ttl == ttl
    assert "expected to cost" in choice.reason


def test_a_tail_is_chosen_by_the_sum_of_each_choice_and_the_sums_are_told():
    choice = choose_tail(new_tokens=2000, own_tokens=10_000, outlook=outlook(0.3, 0.2), rates=USUAL)
    assert choice.ttl == "1h"
    assert choice.reason == (
        "expected to cost in tokens: no write 5,250, 5m 5,060, 1h 4,260 (next call within 5m 30%, within 1h 20%; test)"
    )


@pytest.mark.parametrize(("new_tokens", "ttl"), [(39, "5m"), (40, None)])
def test_a_choice_that_saves_less_than_ten_tokens_is_noise(new_tokens, ttl):
    # Nobody comes back: not to write saves the quarter that a write costs more.
    assert choose_tail(new_tokens=new_tokens, own_tokens=0, outlook=outlook(0.0), rates=USUAL).ttl == ttl


@pytest.mark.parametrize(("later", "ttl"), [(0.39, "5m"), (0.4, "1h")])
def test_a_layer_lives_for_the_hour_where_long_silences_end(later, ttl):
    # 1.15 for each silence that ends within the hour, 0.75 for each that does not: even at 0.395 of them.
    assert layer_ttl(outlook(0.0, later), USUAL) == ttl


def test_a_layer_that_is_always_asked_for_at_once_needs_no_hour():
    assert layer_ttl(outlook(1.0), USUAL) == "5m"


@pytest.mark.parametrize(("soon", "pays"), [(0.27, False), (0.28, True)])
def test_a_layer_pays_by_itself_from_the_chance_of_a_read_on_that_earns_its_premium(soon, pays):
    assert layer_pays(outlook(soon), USUAL) == pays


def test_a_layer_that_saves_nothing_does_not_pay():
    assert not layer_pays(outlook(0.0), Rates(write_5m=1.0))


@given(soon=chances)
def test_a_layer_pays_from_the_break_even_on(soon):
    # 5m pays after one read: 0.25 more for the write, 0.9 less for each read (spec 5.2).
    assert layer_pays(outlook(soon), USUAL) == (soon * 0.9 > 0.25)


# ------------------------------------------------------------------------------------------------- keep-alive


def test_a_read_pays_where_the_next_call_is_likely_and_the_prefix_is_lost_without_it():
    choice = choose_keep_alive(read_tokens=10_000, own_tokens=10_000, chances=[0.5], rates=USUAL)
    assert choice.reads == 1
    assert choice.reason == (
        "a read costs 1,000 tokens, a lost prefix 11,500; chance of a call per lifetime: 50%; "
        "up to 1 reads should save 4,750"
    )


def test_what_others_keep_alive_needs_no_read():
    assert choose_keep_alive(read_tokens=10_000, own_tokens=0, chances=[1.0], rates=USUAL).reads == 0


def test_a_read_now_can_pay_for_a_call_that_comes_two_lifetimes_later():
    assert choose_keep_alive(read_tokens=1000, own_tokens=1000, chances=[0.0, 0.9], rates=USUAL).reads == 2
    assert choose_keep_alive(read_tokens=1000, own_tokens=1000, chances=[0.0, *[0.0] * 8, 0.9], rates=USUAL).reads == 0


def test_reads_are_counted_from_the_last_lifetime_on_and_what_stands_behind_the_prefix_is_paid_with_each():
    choice = choose_keep_alive(
        read_tokens=10_000, own_tokens=10_000, uncached_tokens=500, chances=[0.5, 0.8], rates=USUAL
    )
    assert choice.reads == 2
    assert choice.reason == (
        "a read costs 1,500 tokens, a lost prefix 11,500; chance of a call per lifetime: 50%, 80%; "
        "up to 2 reads should save 8,100"
    )


def test_what_does_not_pay_tells_the_first_chance_alone():
    choice = choose_keep_alive(read_tokens=10_000, own_tokens=10_000, chances=[0.1, 0.05], rates=USUAL)
    assert choice.reads == 0
    assert choice.reason == (
        "a read costs 1,000 tokens, a lost prefix 11,500; chance of a call per lifetime: 10%; a write later is cheaper"
    )


def test_nothing_is_kept_alive_for_calls_of_which_nothing_is_known():
    choice = choose_keep_alive(read_tokens=100, own_tokens=100, chances=[], rates=USUAL)
    assert choice.reads == 0
    assert "chance of a call per lifetime: none; " in choice.reason


def test_a_read_that_saves_no_more_than_its_margin_is_not_made():
    assert choose_keep_alive(read_tokens=0, own_tokens=0, chances=[1.0], rates=USUAL).reads == 0
    # 1.5 times its price of 1,000 tokens must be saved.
    assert choose_keep_alive(read_tokens=10_000, own_tokens=1304, chances=[1.0], rates=USUAL).reads == 0
    assert choose_keep_alive(read_tokens=10_000, own_tokens=1305, chances=[1.0], rates=USUAL).reads == 1


def test_silences_that_never_end_are_worth_nothing_however_short_the_prefix():
    choice = choose_keep_alive(read_tokens=1, own_tokens=1, chances=[0.0, 0.0], rates=USUAL)
    assert choice.reads == 0


def test_a_lost_prefix_costs_what_a_write_costs_more_than_a_read():
    choice = choose_keep_alive(read_tokens=0, own_tokens=1000, chances=[0.0], rates=Rates(read=0.5))
    assert choice.reason.startswith("a read costs 0 tokens, a lost prefix 750; ")


@pytest.mark.parametrize("chance", [-0.1, 1.5])
def test_a_chance_is_between_0_and_1(chance):
    with pytest.raises(ValueError, match=rf"^chances lie between 0 and 1: \[{chance}\]$"):
        choose_keep_alive(read_tokens=1, own_tokens=1, chances=[chance], rates=USUAL)


@given(read=tokens, own=tokens, behind=tokens, lifetimes=st.integers(0, 11), paid=rates)
def test_no_read_pays_where_nobody_comes(read, own, behind, lifetimes, paid):
    choice = choose_keep_alive(
        read_tokens=read, own_tokens=own, uncached_tokens=behind, chances=[0.0] * lifetimes, rates=paid
    )
    assert choice.reads == 0


@given(read=tokens, own=tokens, seen=lists_of_chances, more=chances, at=st.integers(0, 10), paid=rates)
def test_a_higher_chance_never_speaks_against_a_read(read, own, seen, more, at, paid):
    raised = [max(chance, more) if place == at else chance for place, chance in enumerate(seen)]
    lower = choose_keep_alive(read_tokens=read, own_tokens=own, chances=seen, rates=paid)
    higher = choose_keep_alive(read_tokens=read, own_tokens=own, chances=raised, rates=paid)
    assert (higher.reads > 0) >= (lower.reads > 0)


@given(read=tokens, own=tokens, more=tokens, seen=lists_of_chances, paid=rates)
def test_more_to_lose_never_speaks_against_a_read_and_more_to_read_never_for_it(read, own, more, seen, paid):
    asked = choose_keep_alive(read_tokens=read, own_tokens=own, chances=seen, rates=paid)
    dearer_loss = choose_keep_alive(read_tokens=read, own_tokens=own + more, chances=seen, rates=paid)
    dearer_read = choose_keep_alive(read_tokens=read + more, own_tokens=own, chances=seen, rates=paid)
    assert (dearer_read.reads > 0) <= (asked.reads > 0) <= (dearer_loss.reads > 0)


@given(read=tokens, own=tokens, seen=st.lists(chances, min_size=1, max_size=11), paid=rates)
def test_the_first_read_of_a_series_saves_what_it_costs_or_is_not_made(read, own, seen, paid):
    choice = choose_keep_alive(read_tokens=read, own_tokens=own, chances=seen, rates=paid)
    price, saved = paid.read * read, (paid.write_5m - paid.read) * own
    reaches, gain = 1.0, 0.0
    for chance in seen[: choice.reads]:
        gain += reaches * (chance * saved - price)
        reaches *= 1.0 - chance
    assert gain >= -1e-6
    if seen[0] * saved > KEEP_ALIVE_MARGIN * price:
        assert choice.reads > 0
