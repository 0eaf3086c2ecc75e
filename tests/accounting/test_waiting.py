"""What holding calls back saved, per call and summed up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import BilledPart, CallRecord, Usage
from agentcache.accounting.waiting import Awaited, saved_by_waiting, sum_waiting

AWAITED = Awaited(prefix_tokens=20_000, warm_tokens=0, ttl="5m")
TOKENS = st.integers(0, 100_000)


def call(usage: Usage | None, model: str = "claude-sonnet-4-5") -> CallRecord:
    record = CallRecord(call_id="c", run_id="r", agent="a", model=model, sent_at=1_793_000_000.0, usage=usage)
    return price_record(record)


def test_a_read_of_what_was_awaited_saves_the_write_less_the_read():
    read = call(Usage(cache_read_tokens=20_000, uncached_input_tokens=50))
    assert saved_by_waiting(read, AWAITED) == Decimal("0.069")  # 20,000 at 3.75 less 0.30 dollars a million
    assert saved_by_waiting(read, replace(AWAITED, ttl="1h")) == Decimal("0.114")


def test_what_could_be_read_anyway_is_not_saved_by_waiting():
    read = call(Usage(cache_read_tokens=20_000))
    assert saved_by_waiting(read, replace(AWAITED, warm_tokens=10_000)) == Decimal("0.0345")


def test_a_call_that_wrote_in_spite_of_waiting_saved_nothing():
    assert saved_by_waiting(call(Usage(cache_write_5m_tokens=20_000)), AWAITED) == 0


def test_a_call_that_waited_for_no_prefix_saved_nothing():
    assert saved_by_waiting(call(None), None) == 0


def test_a_call_of_unknown_usage_is_not_known_to_have_read_anything():
    assert saved_by_waiting(call(None), AWAITED) == 0


def test_without_a_price_the_saving_is_not_known():
    assert saved_by_waiting(call(Usage(cache_read_tokens=20_000), model="acme-9"), AWAITED) is None


def test_a_call_of_several_prompts_does_not_tell_which_of_them_read():
    part = BilledPart(model="claude-sonnet-4-5", usage=Usage(cache_read_tokens=10_000))
    read = replace(call(Usage(cache_read_tokens=20_000)), parts=(part, part))
    assert saved_by_waiting(read, AWAITED) is None


def test_a_saving_is_reckoned_at_the_prices_of_the_day():
    read = call(Usage(cache_read_tokens=20_000), model="claude-sonnet-5-5")
    dearer = price_record(replace(read, sent_at=1_790_000_000.0))  # in September 2026 a read cost twice as much
    assert [saved_by_waiting(each, AWAITED) for each in (read, dearer)] == [Decimal("0.048"), Decimal("0.046")]


@pytest.mark.parametrize(("seconds", "median"), [((1, 2, 9), 2), ((1, 2, 4, 9), 3), ((5,), 5), ((1, 1, 1, 9), 1)])
def test_the_median_stands_in_the_middle(seconds: tuple[float, ...], median: float):
    held = [replace(call(Usage()), held_s={"prefix": each}) for each in seconds]
    assert sum_waiting(held).median_s == median


def test_calls_of_which_nobody_noted_whether_they_were_held_are_counted():
    assert sum_waiting([call(Usage())] * 3).unknown_calls == 3


@given(read=TOKENS, prefix=TOKENS, warm=TOKENS)
def test_a_saving_is_never_below_zero_nor_above_that_of_all_that_was_read(read: int, prefix: int, warm: int):
    record = call(Usage(cache_read_tokens=read))
    saved = saved_by_waiting(record, Awaited(prefix_tokens=prefix, warm_tokens=warm, ttl="5m"))
    most = saved_by_waiting(record, Awaited(prefix_tokens=read, warm_tokens=0, ttl="5m"))
    assert saved is not None
    assert most is not None
    assert 0 <= saved <= most


def test_sums_tell_held_calls_from_those_of_which_nothing_is_known():
    plain = call(Usage())
    held = replace(plain, held_s={"prefix": 2.0, "concurrency": 1.0}, held_saved_usd=Decimal("0.5"))
    told = sum_waiting([plain, replace(plain, held_s={}), held, replace(held, held_s={"prefix": 4.0})]).to_json()
    assert told == {
        "held_calls": 2,
        "held_s": 7.0,
        "median_held_s": 3.5,
        "held_s_by_reason": {"concurrency": 1.0, "prefix": 6.0},
        "saved_usd": "1",
        "unknown_calls": 1,
    }
