"""Tool calls summed up per tool and agent."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.tool_summary import FAILED, TIERS, Durations, ToolRow, summarise_tools, tool_result
from agentcache.accounting.usage import ToolCallRecord

EXECUTED = ToolCallRecord(
    tool_call_id="tool_0",
    run_id="run_1",
    agent="clerk",
    call_id="call_1",
    tool="look_up",
    started_at=10.0,
    ended_at=12.0,
    outcome="ok",
    result_chars=12,
    memo_tier="executed",
    memo_saved_s=0.0,
    result_bytes=12,
    result_tokens=20,
    result_digest="p1:aa",
)
KEPT = replace(EXECUTED, ended_at=10.0, memo_hit=True, memo_tier="memory", memo_saved_s=2.0)
BEFORE = replace(EXECUTED, memo_tier=None, memo_saved_s=None, result_bytes=None, result_tokens=None, result_digest=None)


def row_of(*calls: ToolCallRecord) -> ToolRow:
    """Return the only row of calls, which get ids of their own."""
    numbered = [replace(call, tool_call_id=f"tool_{number}") for number, call in enumerate(calls)]
    (row,) = summarise_tools(numbered).rows
    return row


def test_a_row_per_tool_and_agent_by_name():
    calls = [
        replace(EXECUTED, tool_call_id=f"{tool} {agent}", tool=tool, agent=agent)
        for tool, agent in (("search", "clerk"), ("look_up", "judge"), ("look_up", "clerk"), ("look_up", None))
    ]
    summary = summarise_tools(calls)

    assert [(row.tool, row.agent, row.calls) for row in summary.rows] == [
        ("look_up", "clerk", 1),
        ("look_up", "judge", 1),
        ("search", "clerk", 1),
    ]
    assert (summary.unattributed.calls, summary.total.calls) == (1, 4)


def test_answers_are_told_apart_by_where_they_came_from():
    row = row_of(
        EXECUTED, KEPT, replace(KEPT, memo_tier="redis"), KEPT, replace(KEPT, memo_tier="shared", memo_saved_s=1.5)
    )

    assert (row.calls, row.executed, row.shared) == (5, 1, 1)
    assert row.kept == {"memory": 2, "redis": 1}
    assert (row.saved_s.value, row.identical_tokens.value, row.result_bytes.value) == (7.5, 80, 60)


def test_what_never_reached_the_tool_was_not_executed():
    row = row_of(*(replace(EXECUTED, outcome=outcome) for outcome in ("ok", *FAILED)))

    assert row.executed == 3  # ok, error, timeout
    assert row.failed == dict.fromkeys(FAILED, 1)


def test_durations_are_those_of_executions():
    took = [replace(EXECUTED, ended_at=10.0 + seconds) for seconds in range(1, 21)]

    assert row_of(*took, KEPT).durations == Durations(mean_s=10.5, median_s=10.5, p95_s=19.0)
    assert row_of(KEPT).durations is None


def test_durations_as_json_and_none_where_nothing_was_executed():
    slow = replace(EXECUTED, ended_at=14.0)

    assert row_of(EXECUTED, EXECUTED, slow).to_json()["duration_s"] == {"mean": 8 / 3, "median": 2.0, "p95": 4.0}
    assert row_of(KEPT).to_json()["duration_s"] is None


def test_a_clock_that_was_set_back_makes_no_execution_shorter_than_nothing():
    assert row_of(replace(EXECUTED, ended_at=9.0)).durations == Durations(mean_s=0.0, median_s=0.0, p95_s=0.0)


def test_what_sums_need_of_a_record_comes_to_what_the_record_does():
    calls = [EXECUTED, replace(KEPT, tool_call_id="tool_1"), replace(BEFORE, tool_call_id="tool_2")]

    assert summarise_tools(map(tool_result, calls)) == summarise_tools(calls)


def test_an_execution_that_returns_what_the_tool_returned_before_is_a_repetition():
    other = replace(EXECUTED, result_digest="p1:bb")

    assert row_of(EXECUTED, other, EXECUTED, replace(EXECUTED, tool="look_up")).repeated == 2
    assert row_of(EXECUTED, KEPT).repeated == 0
    assert row_of(replace(EXECUTED, outcome="error"), EXECUTED, EXECUTED).repeated == 1


def test_another_tools_result_or_an_error_is_no_repetition():
    failed = replace(EXECUTED, outcome="error")
    summary = summarise_tools(
        [EXECUTED, replace(EXECUTED, tool="search", tool_call_id="1"), replace(failed, tool_call_id="2")]
    )

    assert summary.total.repeated == 0


def test_a_sum_that_lacks_a_row_from_before_is_unknown_and_not_smaller():
    row = row_of(EXECUTED, KEPT, replace(BEFORE, memo_hit=True))

    assert (row.unknown_calls, row.kept) == (1, {"memory": 1, "unknown": 1})
    assert row.to_json()["result_bytes"] is row.to_json()["identical_tokens"] is row.to_json()["saved_s"] is None
    assert (row.result_bytes.known, row.identical_tokens.known, row.saved_s.known) == (24, 20, 2.0)


def test_an_execution_from_before_saved_nothing_and_repeated_nothing():
    row = row_of(BEFORE, KEPT)

    assert (row.executed, row.saved_s.value, row.identical_tokens.value) == (1, 2.0, 20)
    assert row.result_bytes.value is None


def test_the_json_has_every_field_whatever_occurred():
    empty = summarise_tools([]).to_json()

    assert empty["rows"] == []
    assert empty["total"] == empty["unattributed"]
    assert empty["total"] == {
        "tool": None,
        "agent": None,
        "calls": 0,
        "executed": 0,
        "hits": {"memory": 0, "sqlite": 0, "redis": 0, "unknown": 0},
        "shared": 0,
        "errors": dict.fromkeys(FAILED, 0),
        "result_bytes": 0,
        "identical_tokens": 0,
        "saved_s": 0,
        "repeated": 0,
        "duration_s": None,
        "unknown_calls": 0,
    }


tiers = st.sampled_from([None, "executed", "shared", *TIERS])
calls_of_all_kinds = st.lists(
    st.builds(
        lambda tier, hit, outcome, agent, tool, numbers: replace(
            EXECUTED,
            tool=tool,
            agent=agent,
            outcome=outcome,
            memo_tier=tier,
            memo_hit=hit if tier is None else tier != "executed",
            result_bytes=numbers[0],
            result_tokens=numbers[1],
            result_digest=None if numbers[0] is None else f"p1:{numbers[0]}",
            ended_at=10.0 + numbers[2],
        ),
        tiers,
        st.booleans(),
        st.sampled_from(["ok", *FAILED]),
        st.sampled_from(["clerk", "judge", None]),
        st.sampled_from(["look_up", "search"]),
        st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(0, 99), st.integers(0, 9)),
    ),
    max_size=30,
).map(lambda calls: [replace(call, tool_call_id=f"tool_{number}") for number, call in enumerate(calls)])


@given(calls_of_all_kinds, st.randoms())
def test_every_call_counts_once_whatever_order_they_come_in(calls: list[ToolCallRecord], chance):
    summary = summarise_tools(calls)
    shuffled = list(calls)
    chance.shuffle(shuffled)

    assert summarise_tools(shuffled) == summary
    parts = [*summary.rows, summary.unattributed]
    for count in ("calls", "executed", "shared", "repeated", "unknown_calls"):
        assert sum(getattr(row, count) for row in parts) == getattr(summary.total, count)
    for amount in ("result_bytes", "identical_tokens", "saved_s"):
        assert sum(getattr(row, amount).known for row in parts) == getattr(summary.total, amount).known
        assert sum(getattr(row, amount).lacking for row in parts) == getattr(summary.total, amount).lacking
    total = summary.total
    unreached = sum(total.failed[outcome] for outcome in FAILED if outcome not in {"error", "timeout"})
    assert total.executed + total.kept.total() + total.shared <= total.calls
    assert total.calls <= total.executed + total.kept.total() + total.shared + unreached
