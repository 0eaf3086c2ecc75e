"""What was spent when, and by whom."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.billed_calls import billed_call
from agentcache.accounting.call_sums import CallKey, CallSums, CallTable, take_call
from agentcache.accounting.cost_over_time import cost_of_hours, cost_over_time
from agentcache.accounting.usage import CallRecord, Usage

MIDNIGHT = 1_790_035_200.0
CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="planner",
    model="claude-opus-5",
    sent_at=MIDNIGHT,
    usage=Usage(),
    cost_usd=Decimal("0.25"),
    counterfactual_usd=Decimal("0.5"),
)


def _at(*seconds: float) -> list[CallRecord]:
    return [replace(CALL, call_id=f"call_{number}", sent_at=MIDNIGHT + after) for number, after in enumerate(seconds)]


def test_calls_of_one_agent_in_one_span_are_one_sum():
    first, second, third = _at(0, 30, 59)

    (planner, reviewer) = cost_over_time([first, replace(second, agent="reviewer"), third]).spent

    assert (planner.agent, planner.calls, planner.priced_usd) == ("planner", 2, Decimal("0.50"))
    assert reviewer.to_json() == {
        "since": "2026-09-22T00:00+00:00",
        "agent": "reviewer",
        "calls": 1,
        "cost_usd": "0.25",
    }


def test_sums_by_hour_come_to_what_the_calls_come_to():
    hours = [3_600.0 * hour for hour in (0, 1, 50, 100)]
    calls = [*_at(*hours), *(replace(call, agent=None, cost_usd=None) for call in _at(3_600.0, 7_200.0))]
    table: CallTable = {}
    for call in calls:
        take_call(table, billed_call(call))
    table[CallKey(0, "", "idle", "m", True)] = CallSums()

    assert cost_of_hours(table, MIDNIGHT, MIDNIGHT + hours[-1]) == cost_over_time(calls)


def test_spans_without_calls_are_there_too():
    series = cost_over_time(_at(0, 180))

    assert (series.step_s, [since - MIDNIGHT for since in series.since]) == (60, [0, 60, 120, 180])


@pytest.mark.parametrize(
    ("length_s", "step_s"),
    [
        (0, 60),
        (2_790, 60),
        (2_820, 300),
        (3_000, 300),
        (40_000, 900),
        (86_400, 3_600),
        (30 * 86_400, 86_400),
        (1e9, 604_800),
    ],
)
def test_a_span_is_as_long_as_people_divide_time(length_s: float, step_s: int):
    assert cost_over_time(_at(0, length_s)).step_s == step_s


def test_a_sum_that_lacks_a_price_is_not_told():
    first, second = _at(0, 1)

    (spent,) = cost_over_time([first, replace(second, cost_usd=None)]).spent

    assert (spent.priced_usd, spent.unpriced_calls, spent.to_json()["cost_usd"]) == (Decimal("0.25"), 1, None)


def test_who_has_no_name_comes_first_in_a_span():
    first, second = _at(0, 1)

    assert [
        spent.agent for spent in cost_over_time([replace(first, agent="A"), replace(second, agent=None)]).spent
    ] == [
        None,
        "A",
    ]


def test_without_calls_there_is_nothing():
    assert cost_over_time([]).since == ()


@given(st.lists(st.floats(0, 2e7), min_size=1, max_size=40))
def test_nothing_is_lost_and_the_spans_cover_it(seconds: list[float]):
    series = cost_over_time(_at(*seconds))

    assert sum(spent.priced_usd for spent in series.spent) == len(seconds) * Decimal("0.25")
    assert {spent.since for spent in series.spent} <= {*series.since}
    assert len(series.since) <= 48
