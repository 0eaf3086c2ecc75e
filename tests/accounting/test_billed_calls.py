"""What sums take from a row."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.billed_calls import BilledCall, SentCall, billed_call, kept_tokens, sent_call
from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage
from agentcache.prompt.canonical import JsonObject

CALL = CallRecord(
    call_id="a",
    run_id="run",
    kind=CallKind.WARM,
    agent="clerk",
    model="claude-next-9",
    conversation="talk",
    sent_at=12.5,
    error="overloaded",
    usage=Usage(
        uncached_input_tokens=1,
        cache_write_5m_tokens=2,
        cache_write_1h_tokens=3,
        cache_read_tokens=4,
        output_tokens=5,
    ),
    cost_usd=Decimal(1),
    counterfactual_usd=Decimal(2),
    held_s={"warm": 0.5},
    held_saved_usd=Decimal(3),
    prefix_digests=("p",),
    found_digests=("f",),
    plan={"kept": [{"digest": "p", "tokens": 7}]},
)


def test_a_row_is_told_without_what_no_sum_needs() -> None:
    assert billed_call(CALL) == BilledCall(
        call_id="a",
        run_id="run",
        kind="warm",
        agent="clerk",
        model="claude-next-9",
        conversation="talk",
        sent_at=12.5,
        failed=True,
        usage=(1, 2, 3, 4, 5),
        cost_usd=Decimal(1),
        counterfactual_usd=Decimal(2),
        held_s={"warm": 0.5},
        held_saved_usd=Decimal(3),
        prefix_digests=("p",),
        found_digests=("f",),
        kept_tokens={"p": 7},
        unpriced_models=(),
    )
    assert sent_call(CALL) == SentCall(12.5, "run", "warm", "clerk", "claude-next-9", "talk", Decimal(1))


def test_an_unpriced_row_names_the_models_whose_price_it_lacks() -> None:
    unpriced = replace(CALL, cost_usd=None, error=None)
    assert billed_call(unpriced).unpriced_models == ("claude-next-9",)
    assert not billed_call(unpriced).failed
    usage = Usage(output_tokens=1)
    parts = tuple(BilledPart(model=model, usage=usage) for model in ("claude-opus-5", "acme-1"))
    assert billed_call(replace(unpriced, parts=parts)).unpriced_models == ("acme-1",)
    assert billed_call(replace(unpriced, parts=parts[:1])).unpriced_models == ("claude-next-9",), "none is known"
    assert billed_call(replace(unpriced, usage=None)).unpriced_models == ()
    assert billed_call(replace(unpriced, usage=None)).usage is None


@pytest.mark.parametrize(
    "plan", [{}, {"kept": "all"}, {"kept": ["p", {"digest": "p"}, {"digest": "p", "tokens": "7"}, {"tokens": 7}]}]
)
def test_a_plan_that_is_not_understood_tells_no_lengths(plan: JsonObject) -> None:
    assert kept_tokens(plan) == {}
