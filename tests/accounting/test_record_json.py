"""A row of the ledger that was kept as JSON comes back equal."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.record_json import call_from_json, call_to_json
from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage
from agentcache.prompt.spans import Span

COUNTS = st.integers(0, 10**12)
USAGES = st.builds(
    Usage,
    uncached_input_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    output_tokens=COUNTS,
)
DOLLARS = st.none() | st.decimals(0, 10**6, places=9)
WORDS = st.none() | st.text(max_size=8)
PARTS = st.builds(
    BilledPart, model=st.text(), usage=USAGES, kind=st.sampled_from(CallKind), service_tier=WORDS, web_searches=COUNTS
)
SPANS = st.builds(
    Span, layer=st.text(), section=WORDS, where=st.text(), tokens=COUNTS, digest=st.text(), parted=st.booleans()
)
CALLS = st.builds(
    CallRecord,
    call_id=st.text(),
    run_id=st.text(),
    kind=st.sampled_from(CallKind),
    agent=WORDS,
    model=st.text(),
    conversation=WORDS,
    turn=COUNTS,
    message_id=WORDS,
    sent_at=st.floats(0, 2e9),
    ended_at=st.none() | st.floats(0, 2e9),
    error=WORDS,
    usage=st.none() | USAGES,
    parts=st.lists(PARTS, max_size=3).map(tuple),
    cost_usd=DOLLARS,
    counterfactual_usd=DOLLARS,
    held_s=st.none() | st.dictionaries(st.text(), st.floats(0, 60), max_size=2),
    held_saved_usd=DOLLARS,
    plan=st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.booleans()), max_size=3),
    section_tokens=st.dictionaries(st.text(), COUNTS, max_size=3),
    prefix_digests=st.lists(st.text(), max_size=3).map(tuple),
    found_digests=st.lists(st.text(), max_size=3).map(tuple),
    prompt_spans=st.none() | st.lists(SPANS, max_size=3).map(tuple),
    request=st.none() | st.just({"model": "m", "messages": []}),
)


@given(CALLS)
def test_a_call_comes_back_equal(call: CallRecord):
    assert call_from_json(json.loads(json.dumps(call_to_json(call)))) == call


def test_dollars_are_text_and_unknown_is_null():
    call = CallRecord(call_id="c", run_id="r", agent=None, model="m", sent_at=1.0, usage=None, cost_usd=Decimal("0.1"))
    told = call_to_json(call)
    assert (told["cost_usd"], told["counterfactual_usd"], told["usage"]) == ("0.1", None, None)


def test_every_field_comes_back_under_its_name():
    part = BilledPart(model="m", usage=Usage(output_tokens=9), kind=CallKind.COMPACTION, web_searches=2)
    span = Span(layer="static", section="rules", where="system[0]", tokens=7, digest="d", parted=True)
    call = CallRecord(
        call_id="c",
        run_id="r",
        kind=CallKind.WARM,
        agent="clerk",
        model="m",
        sent_at=1.5,
        usage=Usage(cache_read_tokens=5),
        parts=(part,),
        cost_usd=Decimal("0.1"),
        counterfactual_usd=Decimal("0.25"),
        held_s={"prefix": 2.0},
        held_saved_usd=Decimal("0.01"),
        plan={"policy": "auto"},
        section_tokens={"rules": 7},
        prefix_digests=("d",),
        found_digests=("e", "f"),
        prompt_spans=(span,),
        request={"model": "m"},
    )

    told = json.loads(json.dumps(call_to_json(call)))

    assert call_from_json(told) == call
    assert (told["kind"], told["usage"]["cache_read_tokens"], told["parts"][0]["kind"]) == ("warm", 5, "compaction")
    assert (told["held_s"], told["section_tokens"], told["held_saved_usd"]) == ({"prefix": 2.0}, {"rules": 7}, "0.01")


def test_a_row_from_before_runs_of_prompts_were_kept_has_none():
    call = CallRecord(call_id="c", run_id="r", agent=None, model="m", sent_at=1.0, usage=None)
    told = dict(call_to_json(call))
    del told["prompt_spans"]

    assert call_from_json(told) == call
