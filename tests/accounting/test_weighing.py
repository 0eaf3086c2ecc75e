"""Tokens weighed by their price over that of uncached input."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agentcache.accounting.usage import BilledPart, CallRecord, Usage
from agentcache.accounting.weighing import weighted_tokens, weighted_tokens_of

USAGE = Usage(
    uncached_input_tokens=1000,
    cache_write_5m_tokens=2000,
    cache_write_1h_tokens=3000,
    cache_read_tokens=4000,
    output_tokens=500,
)


def test_a_written_token_weighs_more_and_a_read_one_less_and_one_of_the_answer_one() -> None:
    # 1000 + 500 + 2000 * 1.25 + 3000 * 2 + 4000 * 0.05
    assert weighted_tokens(BilledPart(model="claude-opus-5-5", usage=USAGE)) == Decimal(10_200)


def test_a_model_without_prices_has_the_usual_ratios() -> None:
    # 1000 + 500 + 2000 * 1.25 + 3000 * 2 + 4000 * 0.1
    assert weighted_tokens(BilledPart(model="claude-next-9", usage=USAGE)) == Decimal(10_400)


def test_a_row_weighs_what_its_parts_weigh_and_one_of_unknown_usage_nothing() -> None:
    part = BilledPart(model="claude-next-9", usage=USAGE)
    row = CallRecord(call_id="a", run_id="r", agent="a", model="claude-next-9", sent_at=0.0, usage=USAGE)
    assert weighted_tokens_of(replace(row, parts=(part, part))) == Decimal(20_800)
    nothing = weighted_tokens_of(replace(row, usage=None))
    assert nothing == 0
    assert isinstance(nothing, Decimal)
