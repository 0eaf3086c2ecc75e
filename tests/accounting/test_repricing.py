"""Rows priced anew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.pricing import price_record
from agentcache.accounting.repricing import reprice
from agentcache.accounting.summary import summarise
from agentcache.accounting.usage import CallRecord, Usage

CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="support",
    model="claude-opus-5",
    sent_at=1_793_000_000.0,
    usage=Usage(uncached_input_tokens=1000),
)
TODAY = price_record(CALL)
WRONG = CALL.with_costs(Decimal("0.006"), TODAY.counterfactual_usd)


def test_what_is_priced_as_today_does_not_change():
    found = reprice([TODAY])

    assert (found.calls, found.rows, found.total.calls, found.unpriced_models) == ((), (), 0, ())


def test_a_wrong_price_is_put_right_and_an_unpriced_call_gets_its_price():
    found = reprice([TODAY, replace(WRONG, call_id="call_2"), replace(CALL, call_id="call_3")])

    assert [call.call_id for call in found.calls] == ["call_2", "call_3"]
    assert {call.cost_usd for call in found.calls} == {TODAY.cost_usd} == {Decimal("0.005")}
    assert found.to_json()["rows"] == [
        {
            "model": "claude-opus-5",
            "calls": 2,
            "newly_priced_calls": 1,
            "before_usd": "0.006",
            "after_usd": "0.01",
            "difference_usd": "0.004",
        }
    ]


def test_the_whole_of_it_as_json():
    unknown, unpriced = replace(CALL, usage=None), replace(CALL, model="acme-9")
    corrected = [replace(WRONG, call_id=f"call_{number}") for number in range(2)]
    found = reprice([unknown, unpriced, *corrected, replace(CALL, call_id="call_3")])

    row = {
        "calls": 3,
        "newly_priced_calls": 1,
        "before_usd": "0.012",
        "after_usd": "0.015",
        "difference_usd": "0.003",
    }
    assert found.to_json() == {
        "rows": [{"model": "claude-opus-5", **row}],
        "total": {"model": None, **row},
        "unpriced_models": ["acme-9"],
    }


def test_a_counterfactual_alone_is_put_right_too():
    assert len(reprice([TODAY.with_costs(TODAY.cost_usd, None)]).calls) == 1


def test_an_amount_is_never_taken_back():
    found = reprice([replace(WRONG, model="acme-9")])

    assert (found.calls, found.unpriced_models) == ((), ("acme-9",))


def test_what_nobody_knows_the_usage_of_has_no_price():
    assert reprice([replace(CALL, usage=None)]).calls == ()


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([None, "0.5", "right"])), max_size=15))
def test_the_difference_is_what_the_report_changes_by(drawn: list[tuple[int, str | None]]):
    before = []
    for number, (tokens, known) in enumerate(drawn):
        right = price_record(replace(CALL, call_id=f"call_{number}", usage=Usage(uncached_input_tokens=tokens)))
        amount = None if known is None else Decimal(known) if known != "right" else right.cost_usd
        before.append(right.with_costs(amount, right.counterfactual_usd))
    found = reprice(before)
    changed = {call.call_id: call for call in found.calls}
    after = [changed.get(call.call_id, call) for call in before]

    gained = summarise(after).total.priced_usd - summarise(before).total.priced_usd
    assert gained == found.total.difference_usd
    assert reprice(after).calls == ()
