"""What a reply's `usage` says was billed."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.reading import merge_stream_usage, side_records, usage_of
from agentcache.accounting.usage import SIDE_KINDS, BilledPart, CallKind, CallRecord, Usage
from agentcache.errors import ReplyMalformed
from agentcache.prompt.canonical import JsonObject

COLD: JsonObject = {
    "input_tokens": 1000,
    "cache_creation_input_tokens": 5000,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 3000, "ephemeral_1h_input_tokens": 2000},
    "output_tokens": 40,
}
"""Vector V8 of the spec: 2k of tools marked 1h, 3k of system marked 5m, 1k unmarked."""


def test_each_token_is_in_one_bucket():
    usage, parts = usage_of(COLD, model="claude-sonnet-5-5")

    assert usage == Usage(
        uncached_input_tokens=1000, cache_write_5m_tokens=3000, cache_write_1h_tokens=2000, output_tokens=40
    )
    assert parts == (BilledPart(model="claude-sonnet-5-5", usage=usage),)


def test_null_and_missing_counts_are_zero():
    told = {
        "input_tokens": 17,
        "cache_creation_input_tokens": None,
        "cache_read_input_tokens": None,
        "cache_creation": None,
        "server_tool_use": None,
        "iterations": None,
    }

    assert usage_of(told)[0] == Usage(uncached_input_tokens=17)
    assert usage_of({})[0] == Usage()


def test_writes_without_a_split_last_five_minutes():
    assert usage_of({"cache_creation_input_tokens": 700})[0] == Usage(cache_write_5m_tokens=700)


def test_writes_without_a_split_last_as_long_as_the_caller_says():
    usage, _ = usage_of({"cache_creation_input_tokens": 700}, default_ttl="1h")

    assert usage == Usage(cache_write_1h_tokens=700)


def test_a_split_without_a_total_is_the_total():
    usage, _ = usage_of({"cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1}})

    assert usage == Usage(cache_write_5m_tokens=2, cache_write_1h_tokens=1)


def test_what_a_split_leaves_out_of_the_total_was_written_for_five_minutes():
    told = {"cache_creation_input_tokens": 900, "cache_creation": {"ephemeral_1h_input_tokens": 600}}

    assert usage_of(told)[0] == Usage(cache_write_5m_tokens=300, cache_write_1h_tokens=600)


@pytest.mark.parametrize("wrong", ["12", -1, 1.5, True, [3]])
def test_a_count_that_is_no_count_is_refused(wrong: object):
    with pytest.raises(ReplyMalformed, match=r"usage\.input_tokens"):
        usage_of({"input_tokens": wrong})


def test_what_modifies_the_price_is_kept():
    told = {
        "input_tokens": 5,
        "service_tier": "batch",
        "speed": "fast",
        "inference_geo": "us",
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
    }

    _, (part,) = usage_of(told, model="claude-opus-5")

    assert (part.service_tier, part.speed, part.inference_geo, part.web_searches) == ("batch", "fast", "us", 3)


# --- iterations -------------------------------------------------------------------------------------------------------


def test_each_prompt_of_a_server_side_loop_is_a_part_of_its_own():
    """The advisor-tool page's example: the top level is the sum over the executor, the advisor is beside it."""
    told = {
        "input_tokens": 1760,
        "cache_read_input_tokens": 412,
        "cache_creation_input_tokens": 0,
        "output_tokens": 531,
        "iterations": [
            {"type": "message", "input_tokens": 412, "output_tokens": 89},
            {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 823, "output_tokens": 1612},
            {"type": "message", "input_tokens": 1348, "cache_read_input_tokens": 412, "output_tokens": 442},
        ],
    }

    usage, parts = usage_of(told, model="claude-sonnet-5")

    assert usage == Usage(uncached_input_tokens=1760, cache_read_tokens=412, output_tokens=531)
    assert [(part.model, part.kind, part.usage.total_tokens) for part in parts] == [
        ("claude-sonnet-5", CallKind.MESSAGE, 501),
        ("claude-sonnet-5", CallKind.MESSAGE, 2202),
        ("claude-opus-5", CallKind.ADVISOR, 2435),
    ]


def test_a_top_level_that_tells_the_first_iteration_only_loses_nothing():
    """Replies before the summer of 2026: input of the first iteration, output of all."""
    told = {
        "input_tokens": 412,
        "output_tokens": 531,
        "iterations": [
            {"type": "message", "input_tokens": 412, "output_tokens": 89},
            {"type": "message", "input_tokens": 1348, "cache_read_input_tokens": 412, "output_tokens": 442},
        ],
    }

    assert usage_of(told)[0] == Usage(uncached_input_tokens=1760, cache_read_tokens=412, output_tokens=531)


def test_a_fallback_is_priced_by_what_each_model_did():
    """The refusals-and-fallback page: the top level tells the attempt that answered, `iterations` what is billed."""
    told = {
        "input_tokens": 412,
        "output_tokens": 264,
        "iterations": [
            {"type": "message", "model": "claude-fable-5", "input_tokens": 535, "output_tokens": 7},
            {"type": "fallback_message", "model": "claude-opus-4-8", "input_tokens": 412, "output_tokens": 264},
        ],
    }

    usage, parts = usage_of(told, model="claude-fable-5")

    assert usage == Usage(uncached_input_tokens=947, output_tokens=271)
    assert [(part.model, part.usage.total_tokens) for part in parts] == [
        ("claude-fable-5", 542),
        ("claude-opus-4-8", 676),
    ]


def test_a_top_level_that_is_the_sum_over_a_fallback_counts_once():
    told = {
        "input_tokens": 947,
        "output_tokens": 271,
        "iterations": [
            {"type": "message", "model": "claude-fable-5", "input_tokens": 535, "output_tokens": 7},
            {"type": "fallback_message", "model": "claude-opus-4-8", "input_tokens": 412, "output_tokens": 264},
        ],
    }

    assert usage_of(told)[0] == Usage(uncached_input_tokens=947, output_tokens=271)


def test_tokens_that_no_iteration_tells_belong_to_the_model_that_was_asked():
    told = {"input_tokens": 100, "output_tokens": 9, "iterations": [{"type": "message", "input_tokens": 60}]}

    usage, parts = usage_of(told, model="claude-opus-5")

    assert usage == Usage(uncached_input_tokens=100, output_tokens=9)
    assert parts[1] == BilledPart(model="claude-opus-5", usage=Usage(uncached_input_tokens=40, output_tokens=9))


def test_iterations_without_a_split_share_the_split_of_the_top_level():
    told = {
        "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
        "iterations": [
            {"type": "message", "cache_creation_input_tokens": 700},
            {"type": "message", "cache_creation_input_tokens": 300},
        ],
    }

    usage, parts = usage_of(told)

    assert usage == Usage(cache_write_5m_tokens=400, cache_write_1h_tokens=600)
    assert [part.usage.cache_write_1h_tokens for part in parts] == [600, 0]


def test_an_iteration_of_an_unknown_type_is_not_lost():
    told = {"input_tokens": 3, "iterations": [{"type": "of_next_year", "input_tokens": 8}]}

    assert usage_of(told)[0] == Usage(uncached_input_tokens=8)


# --- rows beside a call -----------------------------------------------------------------------------------------------


CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="support",
    model="claude-sonnet-5-5",
    sent_at=1_793_000_000.0,
    stop_reason="end_turn",
    plan={"policy": "layers"},
    prefix_digests=("p1:aa",),
    usage=None,
)


def test_compactions_and_advisors_get_rows_of_their_own():
    told = {
        "input_tokens": 10,
        "speed": "fast",
        "iterations": [
            {"type": "compaction", "input_tokens": 150_000, "output_tokens": 900},
            {"type": "message", "input_tokens": 10},
            {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 823, "output_tokens": 1612},
        ],
    }
    usage, parts = usage_of(told, model="claude-sonnet-5-5")
    call = replace(CALL, usage=usage, parts=parts)
    ids = count(1)

    compaction, advisor = side_records(call, lambda kind: f"{kind}_side{next(ids)}")

    assert call.usage == Usage(uncached_input_tokens=10)
    assert (compaction.call_id, compaction.kind, compaction.model) == (
        "call_side1",
        CallKind.COMPACTION,
        "claude-sonnet-5-5",
    )
    assert compaction.usage == Usage(uncached_input_tokens=150_000, output_tokens=900)
    assert (advisor.kind, advisor.model, advisor.agent, advisor.run_id) == (
        CallKind.ADVISOR,
        "claude-opus-5",
        "support",
        "run_1",
    )
    assert advisor.own_parts[0].speed is None, "the speed that was asked for is the executor's"
    assert (advisor.plan, advisor.prefix_digests, advisor.stop_reason) == ({}, (), None)


def test_side_rows_have_no_side_rows():
    usage, parts = usage_of({"iterations": [{"type": "compaction", "input_tokens": 5}]})
    (row,) = side_records(replace(CALL, usage=usage, parts=parts), lambda _: "call_2")

    assert side_records(row, lambda _: "call_3") == ()


def test_the_own_parts_of_a_record_leave_side_parts_out():
    usage, parts = usage_of({"input_tokens": 1, "iterations": [{"type": "compaction", "input_tokens": 5}]}, model="m")

    assert replace(CALL, usage=usage, parts=parts).own_parts == (
        BilledPart(model="m", usage=Usage(uncached_input_tokens=1)),
    )
    assert replace(CALL, usage=usage).own_parts == (BilledPart(model="claude-sonnet-5-5", usage=usage),)
    assert replace(CALL, usage=None, parts=parts).own_parts == ()


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_delta_replaces_and_is_never_added():
    start: JsonObject = {**COLD, "output_tokens": 1, "service_tier": "standard"}
    delta: JsonObject = {
        "input_tokens": 1000,
        "cache_creation_input_tokens": 5000,
        "cache_read_input_tokens": None,
        "output_tokens": 40,
    }

    merged = merge_stream_usage(start, delta)

    assert usage_of(merged)[0] == usage_of(COLD)[0]
    assert merged["service_tier"] == "standard"


def test_writes_that_grew_during_a_stream_last_five_minutes():
    """Results of server tools are marked by the API itself, always with 5m (spec 2.2, point 5)."""
    start: JsonObject = {
        "cache_creation_input_tokens": 2000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2000},
    }

    merged = merge_stream_usage(start, {"cache_creation_input_tokens": 2600, "output_tokens": 4})

    assert usage_of(merged)[0] == Usage(cache_write_5m_tokens=600, cache_write_1h_tokens=2000, output_tokens=4)


def test_writes_that_became_reads_are_taken_from_the_five_minute_ones():
    start: JsonObject = {
        "cache_creation_input_tokens": 900,
        "cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 300},
    }

    merged = merge_stream_usage(start, {"cache_creation_input_tokens": 400, "cache_read_input_tokens": 500})

    assert usage_of(merged)[0] == Usage(cache_write_5m_tokens=100, cache_write_1h_tokens=300, cache_read_tokens=500)


def test_merging_leaves_its_arguments_alone():
    start: JsonObject = {**COLD}
    delta: JsonObject = {"cache_creation_input_tokens": 6000}

    merge_stream_usage(start, delta)

    assert start == COLD
    assert delta == {"cache_creation_input_tokens": 6000}


# --- properties -------------------------------------------------------------------------------------------------------

tokens = st.integers(0, 10**9)
maybe_tokens = st.none() | tokens
splits = st.none() | st.fixed_dictionaries(
    {}, optional={"ephemeral_5m_input_tokens": maybe_tokens, "ephemeral_1h_input_tokens": maybe_tokens}
)
counts = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": maybe_tokens,
        "cache_creation_input_tokens": maybe_tokens,
        "cache_read_input_tokens": maybe_tokens,
        "cache_creation": splits,
        "output_tokens": maybe_tokens,
    },
)
iterations = st.lists(
    st.tuples(
        counts, st.sampled_from(["message", "fallback_message", "compaction", "advisor_message"]), st.sampled_from("ab")
    ).map(lambda drawn: drawn[0] | {"type": drawn[1], "model": drawn[2]}),
    max_size=4,
)
responses = st.tuples(counts, st.none() | iterations).map(lambda drawn: drawn[0] | {"iterations": drawn[1]})


def told_writes(told: JsonObject) -> int:
    total, split = told.get("cache_creation_input_tokens"), told.get("cache_creation")
    if isinstance(total, int):
        return total
    return sum(value for value in split.values() if isinstance(value, int)) if isinstance(split, dict) else 0


@given(responses, st.sampled_from(["5m", "1h"]))
@settings(max_examples=4 * settings().max_examples)
def test_parts_conserve_every_token(told, ttl):
    usage, parts = usage_of(told, model="m", default_ttl=ttl)
    entries = told["iterations"] or []
    own_entries = [entry for entry in entries if entry["type"] in {"message", "fallback_message"}]
    side_entries = [entry for entry in entries if entry not in own_entries]

    assert sum((part.usage for part in parts if part.kind not in SIDE_KINDS), Usage()) == usage
    for name, bucket in (
        ("input_tokens", "uncached_input_tokens"),
        ("cache_read_input_tokens", "cache_read_tokens"),
        ("output_tokens", "output_tokens"),
    ):
        of_iterations = sum(entry.get(name) or 0 for entry in own_entries)
        assert getattr(usage, bucket) == max(told.get(name) or 0, of_iterations)
    assert usage.cache_write_tokens == max(told_writes(told), sum(map(told_writes, own_entries)))
    side = sum((part.usage for part in parts if part.kind in SIDE_KINDS), Usage())
    assert side.cache_write_tokens == sum(map(told_writes, side_entries))
    assert side.output_tokens == sum(entry.get("output_tokens") or 0 for entry in side_entries)


@given(counts, counts)
@settings(max_examples=4 * settings().max_examples)
def test_merging_a_delta_twice_changes_nothing(start, delta):
    once = merge_stream_usage(start, delta)

    assert merge_stream_usage(once, delta) == once


@given(counts, st.lists(counts, max_size=3), counts)
@settings(max_examples=2 * settings().max_examples)
def test_the_last_delta_decides(start, between, last):
    merged = start
    for delta in [*between, last]:
        merged = merge_stream_usage(merged, delta)
    usage, _ = usage_of(merged)

    if last.get("cache_creation_input_tokens") is not None:
        assert usage.cache_write_tokens == last["cache_creation_input_tokens"]
    if last.get("output_tokens") is not None:
        assert usage.output_tokens == last["output_tokens"]
