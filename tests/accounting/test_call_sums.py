"""Sums of calls: what they take from a call, how they add up, and how they are kept as JSON."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

from agentcache.accounting.billed_calls import AskedToolCall, BilledCall
from agentcache.accounting.call_sums import (
    CallKey,
    CallSums,
    CallTable,
    HeldSums,
    ToolKey,
    ToolSums,
    ToolTable,
    add_calls,
    add_tools,
    calls_from_json,
    calls_to_json,
    take_call,
    take_tool_call,
    tools_from_json,
    tools_to_json,
)

CALL = BilledCall(
    call_id="a",
    run_id="run",
    kind="message",
    agent="support",
    model="claude-opus-5",
    conversation=None,
    sent_at=7200.5,
    failed=False,
    usage=(1, 20, 300, 4000, 50_000),
    cost_usd=Decimal("0.25"),
    counterfactual_usd=Decimal("1.5"),
    held_s={"warm": 1.5, "rate": 0.25},
    held_saved_usd=Decimal("0.5"),
    prefix_digests=(),
    found_digests=(),
    kept_tokens={},
    unpriced_models=(),
)
KEY = CallKey(hour=2, run_id="run", agent="support", model="claude-opus-5", is_billed=True)


def held() -> HeldSums:
    """Return sums of two calls that were held, one of them unsaved."""
    return HeldSums(
        micro=2_000_000,
        by_reason=Counter(warm=1_500_000, rate=500_000),
        millis=Counter({1750: 1, 250: 1}),
        saved_usd=Decimal("0.50"),
        unsaved=1,
    )


def sums() -> CallSums:
    """Return sums of which every field is its own number."""
    return CallSums(
        calls=2,
        uncached=3,
        written_5m=5,
        written_1h=7,
        read=11,
        output=13,
        priced_usd=Decimal("0.170"),
        priced_counterfactual_usd=Decimal("1.90"),
        unpriced=17,
        errors=19,
        wasted_tokens=23,
        unnoted=29,
        held=held(),
        unpriced_models=frozenset({"b", "a"}),
    )


def taken(*calls: BilledCall) -> CallSums:
    table: CallTable = {}
    for call in calls:
        take_call(table, call)
    (only,) = table.values()
    return only


def test_a_call_is_taken_with_its_buckets_dollars_and_waits() -> None:
    assert taken(CALL) == CallSums(
        calls=1,
        uncached=1,
        written_5m=20,
        written_1h=300,
        read=4000,
        output=50_000,
        priced_usd=Decimal("0.25"),
        priced_counterfactual_usd=Decimal("1.5"),
        held=HeldSums(
            micro=1_750_000,
            by_reason=Counter(warm=1_500_000, rate=250_000),
            millis=Counter({1750: 1}),
            saved_usd=Decimal("0.5"),
        ),
    )


def test_a_second_call_is_added_to_the_first() -> None:
    both = taken(CALL, CALL)
    assert (both.calls, both.uncached, both.written_5m, both.written_1h) == (2, 2, 40, 600)
    assert (both.read, both.output, both.priced_usd) == (8000, 100_000, Decimal("0.50"))
    assert both.priced_counterfactual_usd == Decimal("3.0")
    assert both.held == HeldSums(
        micro=3_500_000,
        by_reason=Counter(warm=3_000_000, rate=500_000),
        millis=Counter({1750: 2}),
        saved_usd=Decimal("1.0"),
    )


def test_what_is_unknown_of_a_call_is_counted_and_not_taken_for_zero() -> None:
    unsaved = CALL._replace(held_saved_usd=None)
    assert taken(unsaved, unsaved).held == HeldSums(
        micro=3_500_000, by_reason=Counter(warm=3_000_000, rate=500_000), millis=Counter({1750: 2}), unsaved=2
    )
    unpriced = CALL._replace(cost_usd=None, held_s={}, unpriced_models=("new",))
    assert taken(unpriced, unpriced) == CallSums(
        calls=2,
        uncached=2,
        written_5m=40,
        written_1h=600,
        read=8000,
        output=100_000,
        priced_counterfactual_usd=Decimal("3.0"),
        unpriced=2,
        unpriced_models=frozenset({"new"}),
    )
    assert taken(CALL._replace(counterfactual_usd=None)).unpriced == 1
    unnoted = CALL._replace(usage=None, held_s=None, failed=True)
    assert taken(unnoted, unnoted) == CallSums(
        calls=2, priced_usd=Decimal("0.50"), priced_counterfactual_usd=Decimal("3.0"), unnoted=2, errors=2
    )


def test_calls_are_summed_by_hour_run_agent_and_model_and_whether_they_were_billed() -> None:
    table: CallTable = {}
    others = [{"sent_at": 7199.9}, {"run_id": "b"}, {"agent": None}, {"model": "b"}, {"usage": None}]
    for call in (CALL, *(CALL._replace(**other) for other in others)):  # type: ignore[arg-type]  # fields by name
        take_call(table, call)
    assert list(table) == [
        KEY,
        KEY._replace(hour=1),
        KEY._replace(run_id="b"),
        KEY._replace(agent=None),
        KEY._replace(model="b"),
        KEY._replace(is_billed=False),
    ]


def test_tool_calls_are_counted_with_those_that_the_memo_answered() -> None:
    call = AskedToolCall(
        started_at=7200.5,
        run_id="run",
        agent="support",
        memo_hit=True,
        is_known=True,
        is_billed=False,
        asked_by="editor",
        asked_model="claude-opus-5",
    )
    table: ToolTable = {}
    for each in (call, call, call._replace(memo_hit=False)):
        take_tool_call(table, each)
    assert table == {ToolKey(2, "run", "support", True, False, "editor", "claude-opus-5"): ToolSums(3, 2)}


def test_a_day_begins_at_midnight_utc_and_has_no_runs() -> None:
    key = CallKey(hour=49, run_id="run", agent="a", model="m", is_billed=False)
    assert key.of_day() == CallKey(hour=48, run_id="", agent="a", model="m", is_billed=False)
    tool = ToolKey(71, "run", "a", True, False, "b", "m")
    assert tool.of_day() == ToolKey(48, "", "a", True, False, "b", "m")


def test_sums_add_up_field_by_field_and_leave_the_others_as_they_are() -> None:
    table: CallTable = {}
    added = sums()
    add_calls(table, [(KEY, added), (KEY, added)])
    assert table == {
        KEY: CallSums(
            calls=4,
            uncached=6,
            written_5m=10,
            written_1h=14,
            read=22,
            output=26,
            priced_usd=Decimal("0.340"),
            priced_counterfactual_usd=Decimal("3.80"),
            unpriced=34,
            errors=38,
            wasted_tokens=46,
            unnoted=58,
            held=HeldSums(
                micro=4_000_000,
                by_reason=Counter(warm=3_000_000, rate=1_000_000),
                millis=Counter({1750: 2, 250: 2}),
                saved_usd=Decimal("1.00"),
                unsaved=2,
            ),
            unpriced_models=frozenset({"a", "b"}),
        )
    }
    assert added == sums()


def test_models_without_a_price_are_gathered() -> None:
    one, other = (CALL._replace(cost_usd=None, unpriced_models=(name,)) for name in ("one", "other"))
    both = taken(one, other)
    assert both.unpriced_models == {"one", "other"}
    both.add(CallSums(unpriced_models=frozenset({"third"})))
    assert both.unpriced_models == {"one", "other", "third"}


def test_counts_of_tools_add_up_and_leave_the_others_as_they_are() -> None:
    key, added = ToolKey(2, "run", "a", True, True, "b", "m"), ToolSums(3, 2)
    table: ToolTable = {}
    add_tools(table, [(key, added), (key, added)])
    assert (table, added) == ({key: ToolSums(6, 4)}, ToolSums(3, 2))


def test_sums_are_kept_as_a_list_for_each_key() -> None:
    assert calls_to_json({KEY: sums(), KEY._replace(agent=None): CallSums()}) == [
        [
            *(2, "run", "support", "claude-opus-5", True),
            *(2, 3, 5, 7, 11, 13, "0.17", "1.9", 17, 19, 29),
            [2_000_000, {"warm": 1_500_000, "rate": 500_000}, [[250, 1], [1750, 1]], "0.5", 1],
            ["a", "b"],
        ],
        [2, "run", None, "claude-opus-5", True, 0, 0, 0, 0, 0, 0, "0", "0", 0, 0, 0, None, []],
    ]


def test_sums_come_back_from_json_as_they_were_but_for_what_was_wasted() -> None:
    table = {KEY: sums(), KEY._replace(hour=3): CallSums(calls=1)}
    table[KEY].wasted_tokens = 0
    assert calls_from_json(json.loads(json.dumps(calls_to_json(table)))) == table


def test_counts_of_tools_come_back_from_json_as_they_were() -> None:
    table = {ToolKey(2, "run", None, True, False, None, "m"): ToolSums(3, 2)}
    assert tools_to_json(table) == [[2, "run", None, True, False, None, "m", 3, 2]]
    assert tools_from_json(json.loads(json.dumps(tools_to_json(table)))) == table
