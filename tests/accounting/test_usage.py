"""The five buckets of a call, and which parts of a reply belong to its row."""

from __future__ import annotations

from dataclasses import replace

from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage

USAGE = Usage(
    uncached_input_tokens=1,
    cache_write_5m_tokens=20,
    cache_write_1h_tokens=300,
    cache_read_tokens=4000,
    output_tokens=50_000,
)
CALL = CallRecord(call_id="a", run_id="r", agent="support", model="claude-opus-5", sent_at=0.0, usage=USAGE)


def test_each_sum_has_its_buckets_and_no_other() -> None:
    assert USAGE.cache_write_tokens == 320
    assert USAGE.input_tokens == 4321
    assert USAGE.total_tokens == 54_321


def test_usages_add_up_bucket_by_bucket() -> None:
    more = Usage(
        uncached_input_tokens=5,
        cache_write_5m_tokens=50,
        cache_write_1h_tokens=500,
        cache_read_tokens=5000,
        output_tokens=10_000,
    )
    assert USAGE + more == Usage(
        uncached_input_tokens=6,
        cache_write_5m_tokens=70,
        cache_write_1h_tokens=800,
        cache_read_tokens=9000,
        output_tokens=60_000,
    )


def test_what_was_read_is_a_share_of_the_whole_prompt_and_of_none_it_is_unknown() -> None:
    assert Usage(cache_read_tokens=300, uncached_input_tokens=100, output_tokens=7).read_share == 0.75
    assert Usage(output_tokens=7).read_share is None


def test_a_row_without_parts_is_one_part_of_its_own_model_and_one_without_usage_has_none() -> None:
    assert CALL.own_parts == (BilledPart(model="claude-opus-5", usage=USAGE),)
    kept_alive = replace(CALL, kind=CallKind.KEEP_ALIVE)
    assert kept_alive.own_parts == (BilledPart(model="claude-opus-5", usage=USAGE, kind=CallKind.KEEP_ALIVE),)
    assert replace(CALL, usage=None).own_parts == ()


def test_parts_that_the_server_bills_apart_stand_in_rows_of_their_own() -> None:
    own, summary = BilledPart(model="a", usage=USAGE), BilledPart(model="b", usage=USAGE, kind=CallKind.COMPACTION)
    assert replace(CALL, parts=(own, summary)).own_parts == (own,)
    assert replace(CALL, kind=CallKind.COMPACTION, parts=(summary,)).own_parts == (summary,)
