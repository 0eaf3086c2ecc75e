"""The sums of a simulation: buckets, cost by the day's prices, the bound beside them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from agentcache.prompt.model_facts import facts_for
from tests.simulate.recordings import (
    CLOSING,
    LONG,
    MODEL,
    OPENING,
    Body,
    as_list,
    as_object,
    assistant,
    cases_of,
    line,
    request,
    simulated,
    text,
    tokens,
    user,
    write_lines,
)

PROMPT = OPENING + tokens(LONG)
BUCKETS = {
    "uncached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
}


def usd(count: int, per_million: str) -> Decimal:
    return count * Decimal(per_million) / 10**6


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """The same prompt twice, a minute apart; the API told what it billed for the second answer."""
    told: Body = {"usage": {"input_tokens": 1, "output_tokens": 300}}
    lines = [line(0, request(user(LONG))), line(60, request(user(LONG)), agent="b", response=told)]
    return write_lines(tmp_path / "log.jsonl", lines)


def test_costs_are_those_of_the_buckets_at_list_prices(twice: Path) -> None:
    outcome = simulated([twice], ["off", "fixed-5m"])
    off, fixed = outcome.policies
    answer = usd(300, "15")
    closing = usd(2 * CLOSING, "3")
    assert off.cost_usd == usd(2 * PROMPT, "3") + closing + answer
    assert fixed.cost_usd == usd(PROMPT, "3.75") + usd(PROMPT, "0.3") + closing + answer
    assert outcome.bound_usd == fixed.cost_usd
    assert outcome.output_usd == answer


def test_ratios_are_of_the_input_alone(twice: Path) -> None:
    outcome = simulated([twice], ["off", "fixed-5m"])
    off, fixed = outcome.policies
    assert off.cost_usd is not None
    assert outcome.bound_usd is not None
    answer = usd(300, "15")
    assert outcome.ratio_to_bound(off) == pytest.approx(float((off.cost_usd - answer) / (outcome.bound_usd - answer)))
    assert outcome.ratio_to_bound(fixed) == 1


def test_the_json_is_what_the_design_says(twice: Path) -> None:
    body = json.loads(json.dumps(simulated([twice], ["off", "fixed-1h"]).to_json()))
    assert body.keys() == {"bound_usd", "policies"}
    assert Decimal(str(body["bound_usd"])) > 0
    for policy in body["policies"]:
        assert policy.keys() >= {
            "name",
            "calls",
            *BUCKETS,
            "cost_usd",
            "ratio_to_bound",
            "refused",
            "wasted_write_tokens",
        }
        assert "calls_detail" not in policy
        assert isinstance(policy["cost_usd"], str)
        assert Decimal(policy["cost_usd"]) > 0
        assert (policy["calls"], policy["refused"], policy["output_tokens"]) == (2, 0, 300)
        assert policy["ratio_to_bound"] >= 1
    assert [policy["name"] for policy in body["policies"]] == ["off", "fixed-1h"]


def test_details_are_every_calls_buckets_in_the_order_of_time(twice: Path) -> None:
    body = simulated([twice], ["fixed-5m"]).to_json(per_call=True)
    policy = as_object(as_list(body["policies"])[0])
    details = [as_object(detail) for detail in as_list(policy["calls_detail"])]
    assert [(detail["t"], detail["agent"]) for detail in details] == [(0, None), (60, "b")]
    assert all(detail.keys() == {"t", "agent", *BUCKETS} for detail in details)
    for bucket in BUCKETS:
        assert sum(int(str(detail[bucket])) for detail in details) == policy[bucket]


def test_a_refused_call_costs_nothing_and_leaves_no_ratio(tmp_path: Path) -> None:
    five = request(user(*(text(f"{LONG} {number}", "5m") for number in range(5))))
    told: Body = {"usage": {"output_tokens": 300}}
    log = write_lines(tmp_path / "log.jsonl", [line(0, five, response=told), line(1, request(user(LONG)))])
    outcome = simulated([log], ["recorded", "off"])
    recorded, off = outcome.policies
    assert (recorded.calls, recorded.refused) == (2, 1)
    assert recorded.cost_usd == usd(PROMPT + CLOSING, "3")
    assert outcome.ratio_to_bound(recorded) is None
    assert off.refused == 0
    assert outcome.ratio_to_bound(off) is not None


def test_the_bound_does_not_depend_on_what_a_policy_was_refused(tmp_path: Path) -> None:
    five = request(user(*(text(f"{LONG} {number}", "5m") for number in range(5))))
    log = write_lines(tmp_path / "log.jsonl", [line(0, five, response={"usage": {"output_tokens": 300}})])
    assert simulated([log], ["recorded", "off"]).bound_usd == simulated([log], ["off", "recorded"]).bound_usd


def test_what_has_no_price_has_no_cost(tmp_path: Path) -> None:
    log = write_lines(
        tmp_path / "log.jsonl", [line(0, request(user(LONG), model="gpt-4o")), line(1, request(user(LONG)))]
    )
    outcome = simulated([log], ["off", "fixed-5m"])
    assert (outcome.bound_usd, outcome.output_usd) == (None, None)
    assert [policy.cost_usd for policy in outcome.policies] == [None, None]
    assert [outcome.ratio_to_bound(policy) for policy in outcome.policies] == [None, None]
    assert outcome.to_json()["bound_usd"] is None
    assert outcome.policies[1].usage.cache_write_5m_tokens == PROMPT  # what can be counted is counted


SEPTEMBER_S, NOVEMBER_S = 1_788_220_800.0, 1_793_491_200.0  # 2026-09-01 and 2026-11-01


@pytest.mark.parametrize(("begin_s", "on"), [(SEPTEMBER_S, "2026-09-01"), (NOVEMBER_S, "2026-11-01"), (0.0, None)])
def test_a_calls_prices_are_those_of_its_day(tmp_path: Path, begin_s: float, on: str | None) -> None:
    model = "claude-sonnet-5-5"  # its reads became cheaper on 2026-10-07
    lines = [line(begin_s + at_s, request(user(LONG), model=model)) for at_s in (0, 60)]
    log = write_lines(tmp_path / "log.jsonl", lines)
    prices = facts_for(model).prices_for(on=on)
    assert prices is not None
    outcome = simulated([log], ["fixed-5m"])
    (fixed,) = outcome.policies
    usage = fixed.usage
    assert (
        fixed.cost_usd
        == (
            usage.uncached_input_tokens * prices.input_usd
            + usage.cache_write_5m_tokens * prices.write_5m_usd
            + usage.cache_read_tokens * prices.read_usd
        )
        / 10**6
    )
    assert outcome.bound_usd == fixed.cost_usd


def test_the_days_of_that_test_have_different_prices() -> None:
    facts = facts_for("claude-sonnet-5-5")
    assert facts.prices_for(on="2026-09-01") != facts.prices_for(on="2026-11-01") == facts.prices_for()


@pytest.mark.parametrize(
    ("fields", "usage", "factor"),
    [
        ({}, {}, "1"),
        ({"speed": "fast"}, {}, "2"),
        ({"speed": "fast"}, {"speed": "standard"}, "1"),
        ({"inference_geo": "us"}, {}, "1.1"),
        ({}, {"inference_geo": "us", "service_tier": "batch"}, "0.55"),
    ],
)
def test_what_modifies_a_price_modifies_costs_and_the_bound(
    tmp_path: Path, fields: Body, usage: Body, factor: str
) -> None:
    told: Body = {"usage": {"output_tokens": 100, **usage}}
    bodies = [request(user(LONG), model="claude-opus-5", **fields) for _ in range(2)]
    log = write_lines(tmp_path / "log.jsonl", [line(at_s, each, response=told) for at_s, each in enumerate(bodies)])
    plain = write_lines(
        tmp_path / "plain.jsonl",
        [
            line(at_s, request(user(LONG), model="claude-opus-5"), response={"usage": {"output_tokens": 100}})
            for at_s in (0, 1)
        ],
    )
    modified, standard = simulated([log], ["fixed-5m"]), simulated([plain], ["fixed-5m"])
    assert standard.policies[0].cost_usd is not None
    assert standard.bound_usd is not None
    assert modified.policies[0].cost_usd == standard.policies[0].cost_usd * Decimal(factor)
    assert modified.bound_usd == standard.bound_usd * Decimal(factor)


def test_a_long_prompts_prices_are_those_of_its_tier(tmp_path: Path) -> None:
    model = "claude-haiku-5-5"
    facts = facts_for(model)
    long = request(user(" ".join([LONG] * 60)), model=model)
    log = write_lines(tmp_path / "log.jsonl", [line(0, long), line(400, long)])
    case = cases_of(log)[0]
    assert case.prompt.total_tokens > 100_000
    assert case.prices == facts.prices_for(prompt_tokens=case.prompt.total_tokens) != facts.prices_for()
    shortest = facts.prices_for()
    assert shortest is not None
    assert case.keep_alive_usd == shortest.read_usd


def test_equal_traffic_costs_the_same_in_any_order_of_policies(tmp_path: Path) -> None:
    lines = [
        line(at_s, request(user(LONG), assistant("so"), user(f"{at_s}"), system=LONG)) for at_s in (0, 30, 400, 5000)
    ]
    log = write_lines(tmp_path / "log.jsonl", lines)
    names = ["off", "automatic", "fixed-5m", "layers", "auto"]
    forward = {
        policy.name: policy.to_json(ratio=None, with_details=True) for policy in simulated([log], names).policies
    }
    backward = {
        policy.name: policy.to_json(ratio=None, with_details=True) for policy in simulated([log], names[::-1]).policies
    }
    assert forward == backward


def test_the_model_of_this_test_costs_what_it_says() -> None:
    prices = facts_for(MODEL).prices_for()
    assert prices is not None
    assert [str(prices.input_usd), str(prices.write_5m_usd), str(prices.read_usd), str(prices.output_usd)] == [
        "3",
        "3.75",
        "0.30",
        "15",
    ]
