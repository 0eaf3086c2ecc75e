"""A summary as JSON, and the sentences beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from agentcache.accounting.pricing import price_record
from agentcache.accounting.summary import summarise
from agentcache.accounting.usage import CallRecord, ToolCallRecord, Usage
from agentcache.report.formats import notes, to_json

CALL = price_record(
    CallRecord(
        call_id="call_1",
        run_id="run_1",
        agent="höflich",
        model="claude-opus-5",
        sent_at=1_793_000_000.0,
        usage=Usage(uncached_input_tokens=1, output_tokens=2),
    )
)
UNPRICED = price_record(replace(CALL, call_id="call_2", model="acme-9"))
UNKNOWN = price_record(replace(CALL, call_id="call_3", usage=None, error="ConnectionFailed"))


def test_json_is_the_summary_indented():
    summary = summarise([CALL])
    text = to_json(summary)

    assert json.loads(text) == summary.to_json()
    assert text.startswith('{\n  "rows": [\n    {\n      "agent": "höflich",')
    assert not text.endswith("\n")


def test_what_is_not_known_is_null():
    told = json.loads(to_json(summarise([CALL, UNPRICED])))

    assert [row["cost_usd"] for row in told["rows"]] == [None, "0.000055"]
    assert [told["total"][name] for name in ("cost_usd", "counterfactual_usd", "saved_usd")] == [None] * 3
    assert told["unattributed"]["read_share"] is None


def test_a_summary_without_surprises_needs_no_notes():
    assert notes(summarise([CALL])) == ()


def test_notes_say_why_a_sum_is_not_whole():
    told = notes(summarise([CALL, UNPRICED, UNKNOWN]))

    assert told[0].startswith("unpriced: acme-9 ")
    assert told[1].startswith("1 call of unknown usage")
    assert told[2] == "1 call ended in an error."


def test_notes_tell_of_waste_and_of_the_memo():
    wrote = replace(CALL, usage=Usage(cache_write_5m_tokens=5000))
    tool_call = ToolCallRecord(
        tool_call_id="tool_1",
        run_id="run_1",
        agent="höflich",
        call_id="call_1",
        tool="find_order",
        started_at=1.0,
        ended_at=2.0,
        outcome="ok",
    )
    answered = replace(tool_call, tool_call_id="tool_2", memo_hit=True)

    assert notes(summarise([wrote], [tool_call, answered])) == (
        "5,000 written tokens were not read again (estimate).",
        "1 of 2 tool calls were answered from the memo.",
    )


def test_notes_tell_how_long_calls_were_held_back_and_what_that_saved():
    held = [
        replace(CALL, call_id=str(number), held_s={"prefix": 1.0 + number}, held_saved_usd=Decimal("0.0205"))
        for number in range(3)
    ]

    assert notes(summarise([*held, replace(CALL, held_s={})])) == (
        "held 3 calls back 2.0 s in the median, 6.0 s in all; saved $0.0615 (estimate).",
    )


def test_waits_of_less_than_a_second_in_all_are_not_told():
    held = replace(CALL, held_s={"prefix": 0.4}, held_saved_usd=Decimal("0.0205"))

    assert notes(summarise([held, held])) == ()


def test_a_saving_of_unknown_price_is_not_told():
    held = replace(UNPRICED, held_s={"prefix": 1.0})

    assert notes(summarise([held]))[-1] == (
        "held 1 call back 1.0 s in the median, 1.0 s in all; what that saved is not known: a model has no price."
    )
