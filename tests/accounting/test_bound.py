"""The clairvoyant bound, checked by hand on small traffic and as a bound on random traffic."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.bound import BoundCall, input_bound_usd
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
    digests = ["/".join(blocks[: end + 1]) for end in range(len(blocks))]
    return BoundCall(
        scope="model",
        digests=digests,
        tokens=[BLOCK_TOKENS] * len(blocks),
        minimum_tokens=minimum_tokens,
        at_s=at_s,
        first_token_at_s=at_s + first_token_s,
        prices=PRICES,
    )


def test_a_prompt_that_never_comes_back_is_paid_at_full_price():
    assert input_bound_usd([call(0, "a", "b")]) == Decimal(2)


def test_a_prompt_that_comes_back_within_five_minutes_is_written_once_and_read():
    assert input_bound_usd([call(0, "a"), call(200, "a")]) == Decimal("1.25") + Decimal("0.1")


def test_only_the_shared_beginning_is_worth_writing():
    assert input_bound_usd([call(0, "a", "b"), call(60, "a", "c")]) == Decimal("1.35") + 2


def test_a_pause_of_seven_minutes_is_bridged_by_one_keep_alive_read():
    assert input_bound_usd([call(0, "a"), call(420, "a")]) == Decimal("1.25") + 2 * Decimal("0.1")


def test_a_pause_of_an_afternoon_is_not_bridged():
    assert input_bound_usd([call(0, "a"), call(5 * 3600, "a")]) == Decimal(2)


def test_many_returns_forty_minutes_apart_are_worth_the_hour():
    calls = [call(2400.0 * turn, "a") for turn in range(4)]
    assert input_bound_usd(calls) == Decimal(2) + 3 * Decimal("0.1")


def test_calls_that_start_before_the_first_token_cannot_read():
    together = [call(0, "a", first_token_s=5), call(1, "a"), call(2, "a")]
    assert input_bound_usd(together) == Decimal(3)


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
