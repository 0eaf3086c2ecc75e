"""The clairvoyant bound, checked by hand on small traffic and as a bound on random traffic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.bound import BoundCall, InputBound
from agentcache.prompt.model_facts import TTL_SECONDS, Prices

PRICES = Prices(
    input_usd=Decimal(1),
    write_5m_usd=Decimal("1.25"),
    write_1h_usd=Decimal(2),
    read_usd=Decimal("0.1"),
    output_usd=Decimal(5),
)
BLOCK_TOKENS = 1_000_000  # so that one block at full price costs one dollar


def call(at_s: float, *blocks: str, first_token_s: float = 1.0, minimum_tokens: int = 0) -> BoundCall:
    """A call whose blocks are named; digests are chained by joining the names."""
    return BoundCall(
        digests=["/".join(blocks[: end + 1]).encode() for end in range(len(blocks))],
        prefix_tokens=[BLOCK_TOKENS * (end + 1) for end in range(len(blocks))],
        total_tokens=BLOCK_TOKENS * len(blocks),
        minimum_tokens=minimum_tokens,
        at_s=at_s,
        first_token_at_s=at_s + first_token_s,
        prices=PRICES,
    )


def input_bound_usd(calls: Iterable[BoundCall]) -> Decimal:
    bound = InputBound()
    for each in calls:
        bound.add(each)
    return bound.usd


def test_a_prompt_that_never_comes_back_is_paid_at_full_price():
    assert input_bound_usd([call(0, "a", "b")]) == Decimal(2)


def test_a_prompt_that_comes_back_within_five_minutes_is_written_once_and_read():
    assert input_bound_usd([call(0, "a"), call(200, "a")]) == Decimal("1.25") + Decimal("0.1")


def test_only_the_shared_beginning_is_worth_writing():
    assert input_bound_usd([call(0, "a", "b"), call(60, "a", "c")]) == Decimal("1.35") + 2


def test_what_two_conversations_do_not_share_keeps_its_own_past():
    # `a` is written once and read twice, `b` and `c` are written and read, and `d`, which comes once, is not.
    calls = [call(0, "a", "b", "c"), call(60, "a", "d"), call(200, "a", "b", "c")]
    assert input_bound_usd(calls) == Decimal("1.25") + 2 * Decimal("0.1") + 2 * Decimal("1.35") + 1
    # Nobody used `b` in between, so it is kept alive once; `a` was read by the other one.
    later = [*calls[:2], call(350, "a", "b", "c")]
    assert input_bound_usd(later) == Decimal("1.25") + 2 * Decimal("0.1") + 2 * Decimal("1.45") + 1


def test_what_stood_behind_a_part_that_is_cut_in_two_still_stands_there():
    calls = [call(0, "a", "b", "c"), call(10, "a", "b", "d"), call(20, "a", "e"), call(30, "a", "b", "c")]
    # a: written, read three times; b: written, read twice; c: written, read; d and e: plain.
    assert input_bound_usd(calls) == Decimal("1.55") + Decimal("1.45") + Decimal("1.35") + 2


@pytest.mark.parametrize("shared", range(8))
def test_prompts_part_wherever_they_part(shared):
    one, other = [[f"{name}{place}" if place >= shared else f"{place}" for place in range(7)] for name in "ab"]
    alone = input_bound_usd([call(0, *one), call(60, *other)])
    assert alone == shared * Decimal("1.35") + 2 * (7 - shared)
    # The same behind a block that is a part of its own, since a call ended there.
    behind = [call(0, "root"), call(60, "root", *one), call(120, "root", *other)]
    assert input_bound_usd(behind) == Decimal("1.45") + shared * Decimal("1.35") + 2 * (7 - shared)


@pytest.mark.parametrize("shared", range(1, 8))
def test_a_prompt_may_be_the_beginning_of_an_earlier_one(shared):
    blocks = [f"{place}" for place in range(7)]
    calls = [call(0, "root"), call(60, "root", *blocks), call(120, "root", *blocks[:shared])]
    assert input_bound_usd(calls) == Decimal("1.45") + shared * Decimal("1.35") + (7 - shared)


def test_a_pause_that_ends_with_the_lifetime_takes_a_keep_alive_read_and_one_before_it_none():
    assert input_bound_usd([call(0, "a"), call(299.5, "a")]) == Decimal("1.35")
    assert input_bound_usd([call(0, "a"), call(300, "a")]) == Decimal("1.45")
    assert input_bound_usd([call(0, "a"), call(300.5, "a")]) == Decimal("1.45")


def test_a_pause_of_seven_minutes_is_bridged_by_one_keep_alive_read():
    assert input_bound_usd([call(0, "a"), call(420, "a")]) == Decimal("1.25") + 2 * Decimal("0.1")


def test_one_keep_alive_read_bridges_an_hour_since_it_may_leave_an_entry_for_the_hour():
    assert input_bound_usd([call(0, "a"), call(299 + 3600, "a")]) == Decimal("1.25") + 2 * Decimal("0.1")
    assert input_bound_usd([call(0, "a"), call(300 + 3600, "a")]) == Decimal("1.25") + 3 * Decimal("0.1")


def test_a_pause_of_a_day_is_not_bridged():
    assert input_bound_usd([call(0, "a"), call(24 * 3600, "a")]) == Decimal(2)


def test_a_read_within_five_minutes_may_leave_a_block_with_the_hour():
    # A 1h breakpoint on `b` at 200 s does it: 1.25 + 0.1 + 0.1 for `a`.
    calls = [call(0, "a"), call(200, "a", "b"), call(200 + 2400, "a", "c")]
    assert input_bound_usd(calls) == Decimal("1.45") + 2


def test_a_block_is_written_for_the_hour_where_a_keep_alive_read_costs_more():
    again = replace(call(2400, "a"), keep_alive_usd=Decimal("0.8"))
    assert input_bound_usd([call(0, "a"), again, again]) == Decimal("2.2")


def test_calls_that_start_before_the_first_token_cannot_read():
    together = [call(at_s, "a", first_token_s=5) for at_s in (0, 1, 2)]
    assert input_bound_usd(together) == Decimal(3)


def test_a_call_that_is_answered_sooner_may_write_for_those_behind_it():
    assert input_bound_usd([call(0, "a", first_token_s=5), call(1, "a"), call(2, "a")]) == Decimal("2.35")


def test_an_entry_kept_alive_serves_calls_that_come_together():
    # Cheapest for the second call alone is to pay in full; but then the two beside it could not read either.
    later_s = 12 * 3600.0
    calls = [call(0, "a"), *(call(later_s + beside_s, "a") for beside_s in (0, 0.3, 0.6))]
    assert input_bound_usd(calls) == Decimal("1.25") + 12 * Decimal("0.1") + 3 * Decimal("0.1")


def test_keep_alive_reads_are_paid_at_their_own_price():
    cheap = replace(call(420, "a"), keep_alive_usd=Decimal("0.01"))
    assert input_bound_usd([call(0, "a"), cheap]) == Decimal("1.25") + Decimal("0.01") + Decimal("0.1")


def test_each_call_is_paid_at_its_own_prices():
    dearer = replace(PRICES, input_usd=Decimal(2), read_usd=Decimal("0.2"))
    assert input_bound_usd([call(0, "a"), replace(call(60, "a"), prices=dearer)]) == Decimal("1.25") + Decimal("0.2")


def test_a_stretched_call_is_paid_for_its_true_length():
    longer = replace(call(60, "a", "b"), stretch=Fraction(3, 2))
    assert input_bound_usd([longer]) == Decimal(3)
    assert input_bound_usd([call(0, "a"), longer]) == Decimal("1.25") + Decimal("0.15") + Decimal("1.5")


def test_what_follows_the_last_block_is_paid_at_full_price_each_time():
    calls = [replace(call(at_s, "a"), total_tokens=3 * BLOCK_TOKENS) for at_s in (0, 60)]
    assert input_bound_usd(calls) == Decimal("1.35") + 4


def test_a_prompt_without_blocks_is_paid_at_full_price():
    assert input_bound_usd([replace(call(0), total_tokens=BLOCK_TOKENS)]) == Decimal(1)


def test_the_bound_may_be_asked_for_while_calls_are_added():
    bound = InputBound()
    bound.add(call(0, "a", "b"))
    assert bound.usd == Decimal(2)
    bound.add(call(60, "a", "c"))
    assert bound.usd == Decimal("1.35") + 2


def test_blocks_below_the_minimum_count_as_one():
    apart_within_the_minimum = [
        call(0, "a", "b", minimum_tokens=2 * BLOCK_TOKENS),
        call(60, "a", "c", minimum_tokens=2 * BLOCK_TOKENS),
    ]
    assert input_bound_usd(apart_within_the_minimum) == Decimal(4)


def test_a_prompt_under_the_minimum_is_paid_at_full_price():
    assert input_bound_usd([call(at, "a", minimum_tokens=2 * BLOCK_TOKENS) for at in (0, 60)]) == Decimal(2)


gaps = st.lists(st.integers(min_value=2, max_value=9000), min_size=1, max_size=8)


def always_write(times: list[float], ttl: str) -> Decimal:
    """What one block costs when every call writes or reads it with one lifetime."""
    write = PRICES.write_5m_usd if ttl == "5m" else PRICES.write_1h_usd
    lifetime = TTL_SECONDS["5m"] if ttl == "5m" else TTL_SECONDS["1h"]
    return write + sum(
        (PRICES.read_usd if after - before < lifetime else write for before, after in pairwise(times)), Decimal(0)
    )


@given(gaps)
def test_no_fixed_policy_is_cheaper_than_the_bound(pauses: list[int]):
    times = [float(sum(pauses[:end])) for end in range(len(pauses) + 1)]
    bound = input_bound_usd([call(at, "a") for at in times])
    assert bound <= min(Decimal(len(times)), always_write(times, "5m"), always_write(times, "1h"))


@given(gaps, st.integers(min_value=0, max_value=7))
def test_leaving_a_call_out_never_costs_more(pauses: list[int], left_out: int):
    times = [float(sum(pauses[:end])) for end in range(len(pauses) + 1)]
    fewer = [at for index, at in enumerate(times) if index != left_out]
    assert input_bound_usd([call(at, "a") for at in fewer]) <= input_bound_usd([call(at, "a") for at in times])
