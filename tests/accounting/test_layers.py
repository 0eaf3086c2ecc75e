"""Billed tokens and dollars split over the layers of a prompt."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from agentcache.accounting.layers import LAYERS, input_usd, split_call, summarise_layers
from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import BilledPart, CallRecord, Usage
from agentcache.prompt.spans import Span

BASE = CallRecord(call_id="a", run_id="run_1", agent="clerk", model="claude-sonnet-5-5", sent_at=1.79e9, usage=None)
TOKENS = st.integers(0, 50_000)
USAGES = st.builds(
    Usage,
    uncached_input_tokens=TOKENS,
    cache_write_5m_tokens=TOKENS,
    cache_write_1h_tokens=TOKENS,
    cache_read_tokens=TOKENS,
    output_tokens=TOKENS,
)
MODELS = st.sampled_from(["claude-sonnet-5-5", "claude-opus-5", "claude-haiku-4-5"])
PARTS = st.lists(st.builds(BilledPart, model=MODELS, usage=USAGES), min_size=1, max_size=3)


def spans(*tokens: int, prefix: str = "p") -> tuple[Span, ...]:
    return tuple(
        Span(layer=layer, section=None, where=layer, tokens=each, digest=f"{prefix}{place}")
        for place, (layer, each) in enumerate(zip(LAYERS, tokens, strict=True))
    )


def call(call_id: str, at: float, usage: Usage | None, runs: tuple[Span, ...] | None) -> CallRecord:
    return replace(BASE, call_id=call_id, sent_at=BASE.sent_at + at, usage=usage, prompt_spans=runs)


def buckets(usage: Usage) -> tuple[int, int, int, int]:
    """In the order in which they follow each other in a prompt."""
    return (
        usage.cache_read_tokens,
        usage.cache_write_1h_tokens,
        usage.cache_write_5m_tokens,
        usage.uncached_input_tokens,
    )


@given(PARTS, st.lists(st.integers(0, 5000), min_size=6, max_size=6))
def test_every_token_and_every_dollar_is_given_out_once(parts: list[BilledPart], tokens: list[int]):
    usage = sum((part.usage for part in parts), Usage())
    record = replace(BASE, usage=usage, parts=tuple(parts), prompt_spans=spans(*tokens))

    shares = split_call(record)

    assert sum((share.usage for share in shares), Usage()) == replace(usage, output_tokens=0)
    assert all(count >= 0 for share in shares for count in buckets(share.usage))
    assert sum((share.cost_usd or 0 for share in shares), Decimal(0)) == input_usd(record)


@given(USAGES, st.lists(st.integers(0, 5000), min_size=6, max_size=6))
def test_reads_come_before_writes_and_writes_before_the_rest(usage: Usage, tokens: list[int]):
    shares = split_call(replace(BASE, usage=usage, prompt_spans=spans(*tokens)))

    held = [[place for place, count in enumerate(buckets(share.usage)) if count] for share in shares]
    for before, after in pairwise(run for run in held if run):
        assert before[-1] <= after[0]


@given(USAGES)
def test_what_a_prompt_cost_is_what_the_call_cost_less_its_answer(usage: Usage):
    assume(usage.input_tokens <= 200_000)  # a longer prompt may make answers dearer, too
    record = price_record(replace(BASE, usage=usage))
    answer = price_record(replace(BASE, usage=Usage(output_tokens=usage.output_tokens)))

    assert (record.cost_usd or 0) - (answer.cost_usd or 0) == input_usd(record)


def test_the_estimate_is_stretched_to_what_was_billed():
    usage = Usage(cache_read_tokens=2000, cache_write_5m_tokens=1000, uncached_input_tokens=20)

    shares = split_call(call("a", 0, usage, spans(500, 500, 0, 500, 0, 10)))

    assert [buckets(share.usage) for share in shares] == [
        (1000, 0, 0, 0),
        (1000, 0, 0, 0),
        (0, 0, 0, 0),
        (0, 0, 1000, 0),
        (0, 0, 0, 0),
        (0, 0, 0, 20),
    ]


def test_a_layer_that_is_written_again_within_its_lifetime_is_told():
    usage = Usage(cache_write_5m_tokens=1500, uncached_input_tokens=10)
    runs = spans(500, 500, 0, 500, 0, 10)

    summary = summarise_layers([call("a", 0, usage, runs), call("b", 299, usage, runs), call("c", 700, usage, runs)])

    assert {row.layer: row.rewritten_tokens for row in summary.rows} == {
        "tools": 500,
        "static": 500,
        "semi_static": 0,
        "session": 500,
        "history": 0,
        "turn": 0,
    }


def test_another_session_rewrites_what_stands_before_it_and_nothing_of_itself():
    usage = Usage(cache_write_5m_tokens=1500, uncached_input_tokens=10)
    first = spans(500, 500, 0, 500, 0, 10)
    second = (*first[:3], *spans(500, 500, 0, 500, 0, 10, prefix="q")[3:])

    summary = summarise_layers([call("a", 0, usage, first), call("b", 1, usage, second)])

    assert [row.rewritten_tokens for row in summary.rows] == [500, 500, 0, 0, 0, 0]


def test_what_nobody_can_split_is_unattributed_and_in_the_total():
    usage = Usage(cache_read_tokens=1000, output_tokens=7)
    calls = [
        call("a", 0, usage, spans(500, 500, 0, 0, 0, 0)),
        call("b", 1, usage, None),
        call("c", 2, None, spans(1, 1, 1, 1, 1, 1)),
    ]

    summary = summarise_layers(calls)

    assert summary.unattributed.usage == Usage(cache_read_tokens=1000)
    assert (summary.unattributed.calls, summary.unattributed.unpriced_calls, summary.unattributed.cost_usd) == (
        2,
        1,
        None,
    )
    assert summary.total.usage == Usage(cache_read_tokens=2000)
    assert summary.total.calls == 3


# --- rewriting, and what it costs -------------------------------------------------------------------------------------

CALLS = st.lists(
    st.builds(
        lambda at, parts, tokens, agent, known: replace(
            BASE,
            agent=agent,
            sent_at=BASE.sent_at + at,
            usage=sum((part.usage for part in parts), Usage()) if known else None,
            parts=tuple(parts) if known else (),
            prompt_spans=spans(*tokens) if tokens else None,
        ),
        at=st.integers(0, 3 * 86_400),
        parts=PARTS,
        tokens=st.none() | st.lists(st.integers(0, 5000), min_size=6, max_size=6),
        agent=st.sampled_from(["clerk", "editor", None]),
        known=st.booleans(),
    ),
    max_size=8,
).map(lambda calls: [replace(each, call_id=f"call_{place}") for place, each in enumerate(calls)])


@given(CALLS)
def test_layers_add_up_to_the_calls_to_the_token_and_the_dollar(calls: list[CallRecord]):
    summary = summarise_layers(calls)

    rows = [*summary.rows, summary.unattributed]
    billed = sum((each.usage for each in calls if each.usage is not None), Usage())
    assert sum((row.usage for row in rows), Usage()) == summary.total.usage == replace(billed, output_tokens=0)
    dollars = sum((input_usd(each) or Decimal(0) for each in calls), Decimal(0))
    assert sum((row.priced_usd for row in rows), Decimal(0)) == summary.total.priced_usd == dollars
    again = sum((row.priced_rewritten_usd for row in rows), Decimal(0))
    assert again == summary.total.priced_rewritten_usd


@given(CALLS)
def test_what_is_written_again_is_part_of_what_was_written_in_tokens_and_in_dollars(calls: list[CallRecord]):
    for row in summarise_layers(calls).rows:
        assert 0 <= row.rewritten_tokens <= row.usage.cache_write_tokens
        assert 0 <= row.priced_rewritten_usd <= row.priced_usd
        assert bool(row.rewritten_tokens) == bool(row.priced_rewritten_usd)


@given(CALLS)
def test_a_day_is_the_mean_of_the_days_with_calls(calls: list[CallRecord]):
    told: Any = summarise_layers(calls).to_json()

    assert told["days"] == len({int(each.sent_at) // 86_400 for each in calls})
    for row in (*told["rows"], told["total"]):
        for name in ("cost", "rewritten"):
            whole, mean = row[f"{name}_usd"], row[f"{name}_per_day_usd"]
            if whole is None or not told["days"]:
                assert mean is None
            else:
                assert abs(Decimal(mean) * told["days"] - Decimal(whole)) < Decimal("1e-9")


def test_rewriting_costs_what_those_writes_cost():
    usage = Usage(cache_write_1h_tokens=1_000_000, cache_write_5m_tokens=500_000, uncached_input_tokens=10)
    runs = spans(500_000, 500_000, 0, 500_000, 0, 10)

    summary = summarise_layers([call("a", 0, usage, runs), call("b", 1, usage, runs)])

    # Two dollars per million tokens in full; twice that for an hour, 1.25 times for five minutes.
    assert {row.layer: row.rewritten_usd for row in summary.rows if row.rewritten_tokens} == {
        "tools": Decimal(2),
        "static": Decimal(2),
        "session": Decimal("1.25"),
    }
    assert summary.total.rewritten_usd == Decimal("5.25")


def test_what_rewriting_cost_is_not_known_where_the_price_is_not():
    usage = Usage(cache_write_5m_tokens=1500, uncached_input_tokens=10)
    runs = spans(500, 500, 0, 500, 0, 10)
    calls = [replace(call(each, at, usage, runs), model="acme-9") for at, each in enumerate("ab")]

    row = summarise_layers(calls).rows[0]

    assert (row.rewritten_tokens, row.rewritten_usd, row.cost_usd) == (500, None, None)
