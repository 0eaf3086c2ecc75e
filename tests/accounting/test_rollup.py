"""Sums that are made a stretch at a time come to what they come to at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.billed_calls import BilledCall, billed_call
from agentcache.accounting.call_sums import (
    HOUR_S,
    add_calls,
    add_tools,
    calls_from_json,
    calls_to_json,
    tools_from_json,
    tools_to_json,
)
from agentcache.accounting.rollup import Rollup, rollup_of, take_calls
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.summary import summarise, summary_of
from agentcache.accounting.usage import CallRecord, ToolCallRecord, Usage
from agentcache.accounting.wasted_writes import Writes, WrittenRange
from tests.traffic import BEGAN, RUNS, times, traffic

GROUPINGS = ("agent", "model", "day", "run")
SELECTIONS = st.builds(
    Selection,
    agent=st.sampled_from([None, "a"]),
    model=st.sampled_from([None, "claude-sonnet-5-5"]),
    since=st.none() | times,
    until=st.none() | times,
)


def in_stretches(calls: Sequence[CallRecord], cuts: Sequence[float], only: Selection) -> Rollup:
    """Sum calls up a stretch at a time, with nothing but JSON from one to the next."""
    ordered = sorted(map(billed_call, calls), key=lambda call: (call.sent_at, call.call_id))
    whole, told = Rollup(), json.dumps(Writes().to_json())
    closed: list[WrittenRange] = []
    for start, end in zip((-1e300, *sorted(cuts)), (*sorted(cuts), 1e300), strict=True):
        stretch: list[BilledCall] = [call for call in ordered if start <= call.sent_at < end]
        rollup, writes = Rollup(), Writes.from_json(json.loads(told))
        take_calls(rollup, stretch, writes, only)
        if end < 1e300:
            writes.sweep(end)
        closed += writes.closed()
        told = json.dumps(writes.to_json())
        add_calls(whole.calls, calls_from_json(json.loads(json.dumps(calls_to_json(rollup.calls)))).items())
    opened: list[WrittenRange] = list(Writes.from_json(json.loads(told)).open())
    whole.waste((*closed, *opened), only)
    return whole


@pytest.mark.parametrize("by", GROUPINGS)
@given(drawn=traffic(), cuts=st.lists(times, max_size=4), only=SELECTIONS)
@settings(max_examples=60, deadline=None)
def test_stretches_come_to_what_all_calls_come_to(by, drawn, cuts, only):
    calls, _ = drawn

    summary = summary_of(in_stretches(calls, cuts, only), by=by, runs=RUNS)

    assert summary == summarise(calls, by=by, runs=RUNS, only=only)


@given(traffic())
@settings(max_examples=60, deadline=None)
def test_counts_of_tool_calls_are_kept_as_json(drawn):
    table = rollup_of(*drawn).tools

    again = tools_from_json(json.loads(json.dumps(tools_to_json(table))))
    add_tools(again, table.items())

    assert {key: (sums.calls, sums.memo_hits) for key, sums in again.items()} == {
        key: (2 * sums.calls, 2 * sums.memo_hits) for key, sums in table.items()
    }


def test_since_leaves_out_of_the_count_and_not_out_of_sight():
    """What was written before, and could have been read since, counts neither as written nor as wasted."""
    written = CallRecord(
        call_id="w",
        run_id="run_1",
        agent="a",
        model="claude-sonnet-5-5",
        sent_at=BEGAN,
        usage=Usage(cache_write_5m_tokens=500),
        prefix_digests=("p1:a",),
    )
    rewritten = replace(written, call_id="r", sent_at=BEGAN + 60)

    total = summarise([written, rewritten], only=Selection(since=BEGAN + 60)).total

    assert (total.calls, total.usage.cache_write_tokens, total.wasted_write_tokens) == (1, 500, 500)


def test_a_tool_call_counts_on_the_day_that_it_began():
    tool = ToolCallRecord(
        tool_call_id="t",
        run_id="run_1",
        agent="a",
        call_id="c",
        tool="look_up",
        started_at=24 * HOUR_S + 1.0,
        ended_at=24 * HOUR_S + 2.0,
        outcome="ok",
    )
    call = CallRecord(
        call_id="c", run_id="run_1", agent="a", model="acme-9", sent_at=24 * HOUR_S - 1.0, usage=None, error="x"
    )

    summary = summarise([call], [tool], by="day")

    assert (summary.unattributed.calls, summary.unattributed.tool_calls) == (1, 1)
    assert summary_of(rollup_of([], [tool], only=EVERYTHING), by="day").rows[0].day == "1970-01-02"
