"""What lost tokens of a ledger's row cost, beyond reading them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from agentcache.accounting.losses import lost_usd
from agentcache.accounting.usage import BilledPart, CallRecord, Usage

MILLION = 1_000_000
CALL = CallRecord(
    call_id="a",
    run_id="r",
    agent="clerk",
    model="claude-opus-5-5",  # 4 uncached, 5 and 8 written, 0.20 read
    sent_at=1_793_000_000.0,
    usage=Usage(
        cache_read_tokens=MILLION,
        cache_write_1h_tokens=MILLION,
        cache_write_5m_tokens=MILLION,
        uncached_input_tokens=MILLION,
    ),
)


def test_lost_tokens_are_the_first_behind_the_read_ones_and_cost_what_was_paid_for_them() -> None:
    assert lost_usd(CALL, MILLION) == Decimal("7.80")
    assert lost_usd(CALL, 2 * MILLION) == Decimal("7.80") + Decimal("4.80")
    assert lost_usd(CALL, 3 * MILLION) == Decimal("7.80") + Decimal("4.80") + Decimal("3.80")


def test_a_call_pays_the_prices_of_its_day() -> None:
    usage = Usage(uncached_input_tokens=MILLION)
    earlier, later = (
        replace(CALL, model="claude-sonnet-5-5", usage=usage, sent_at=datetime(2026, 10, day, tzinfo=UTC).timestamp())
        for day in (6, 7)
    )
    assert lost_usd(earlier, MILLION) == Decimal("1.80"), "2 uncached, 0.20 read"
    assert lost_usd(later, MILLION) == Decimal("1.90"), "and 0.10 read"


def test_nothing_lost_costs_nothing_whatever_is_unknown() -> None:
    assert lost_usd(replace(CALL, usage=None), 0) == 0


def test_without_usage_price_or_a_single_model_it_is_not_known() -> None:
    part = BilledPart(model=CALL.model, usage=Usage(cache_read_tokens=1))
    for unknown in (
        replace(CALL, usage=None),
        replace(CALL, model="claude-next-9"),
        replace(CALL, parts=(part, part)),
    ):
        assert lost_usd(unknown, 10) is None
