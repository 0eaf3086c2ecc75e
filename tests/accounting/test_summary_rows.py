"""Whose a row of a summary is, what it adds up to, and where tool calls count: small ledgers, exact numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.pricing import price_record
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import Grouping, Summary, SummaryRow, summarise
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord, Usage

OPUS, SONNET = "claude-opus-5", "claude-sonnet-5-5"
MIDNIGHT = 1_792_972_800.0
"""2026-10-26 in UTC."""
CALL = price_record(
    CallRecord(
        call_id="call_1",
        run_id="run_1",
        agent="support",
        model=OPUS,
        sent_at=MIDNIGHT,
        usage=Usage(cache_write_1h_tokens=200, cache_write_5m_tokens=100),
    )
)
TOOL_CALL = ToolCallRecord(
    tool_call_id="tool_1",
    run_id="run_1",
    agent="support",
    call_id="call_1",
    tool="find_order",
    started_at=MIDNIGHT,
    ended_at=MIDNIGHT + 1,
    outcome="ok",
)
RUN = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=MIDNIGHT)


def names(row: SummaryRow) -> tuple[str | None, ...]:
    return (row.run, row.name, row.day, row.agent, row.model)


def tools_of(summary: Summary) -> dict[tuple[str | None, str | None], int]:
    return {(row.agent, row.model): row.tool_calls for row in summary.rows}


def test_rows_are_added_number_by_number() -> None:
    row = SummaryRow(
        agent="support",
        calls=1,
        usage=Usage(output_tokens=2),
        priced_usd=Decimal(3),
        priced_counterfactual_usd=Decimal(4),
        unpriced_calls=5,
        wasted_write_tokens=6,
        memo_hits=7,
        tool_calls=8,
        errors=9,
    )

    assert row + replace(row, agent="editor") == SummaryRow(
        calls=2,
        usage=Usage(output_tokens=4),
        priced_usd=Decimal(6),
        priced_counterfactual_usd=Decimal(8),
        unpriced_calls=10,
        wasted_write_tokens=12,
        memo_hits=14,
        tool_calls=16,
        errors=18,
    )


@pytest.mark.parametrize(
    ("by", "named"),
    [
        ("agent", (None, None, None, "support", OPUS)),
        ("model", (None, None, None, None, OPUS)),
        ("day", (None, None, "2026-10-26", None, None)),
        ("run", ("run_1", "review", None, None, None)),
    ],
)
def test_a_row_has_the_names_of_its_grouping_and_no_others(by: Grouping, named: tuple[str | None, ...]) -> None:
    summary = summarise([CALL], by=by, runs=[RUN])

    assert [names(row) for row in summary.rows] == [named]
    assert names(summary.total) == names(summary.unattributed) == (None,) * 5
    assert summary.rows[0].usage == CALL.usage


def test_agents_have_the_rows_where_nobody_says_otherwise() -> None:
    assert summarise([CALL]).by == "agent"


def test_a_tool_call_of_an_unknown_call_counts_in_the_first_row_of_its_own_agent() -> None:
    calls = [CALL, replace(CALL, call_id="call_2", model=SONNET), replace(CALL, call_id="call_3", agent="editor")]
    unknown = [replace(TOOL_CALL, call_id="of another day") for _ in range(3)]

    summary = summarise(calls, unknown)

    assert tools_of(summary) == {("editor", OPUS): 0, ("support", OPUS): 3, ("support", SONNET): 0}
    assert summarise(calls, unknown, by="model").unattributed.tool_calls == 3


def test_an_agent_that_has_the_name_of_a_model_is_none() -> None:
    summary = summarise([CALL], [replace(TOOL_CALL, call_id="of another day", agent=OPUS)], by="model")

    assert (summary.rows[0].tool_calls, summary.unattributed.tool_calls) == (0, 1)


def test_a_tool_call_counts_with_the_call_that_asked_for_it_on_the_day_that_it_began() -> None:
    late = replace(CALL, sent_at=MIDNIGHT - 1)

    summary = summarise([late], [TOOL_CALL], by="day")

    assert [(row.day, row.calls, row.tool_calls) for row in summary.rows] == [
        ("2026-10-25", 1, 0),
        ("2026-10-26", 0, 1),
    ]


def test_a_tool_call_counts_in_the_run_of_the_call_that_asked_for_it_wherever_it_ran() -> None:
    nested = replace(RUN, run_id="run_2", parent_run_id="run_1", name="helper")
    asked = replace(CALL, run_id="run_2")

    summary = summarise([asked], [replace(TOOL_CALL, run_id="run_7")], by="run", runs=[nested, RUN])

    assert [(row.run, row.calls, row.tool_calls) for row in summary.rows] == [("run_1", 1, 1)]


def test_only_the_tool_calls_of_an_agent_count_where_only_it_was_asked_about() -> None:
    others = replace(TOOL_CALL, tool_call_id="tool_2", agent="editor")

    assert summarise([CALL], [TOOL_CALL, others], only=Selection(agent="support")).total.tool_calls == 1


def test_only_what_a_model_wasted_counts_where_only_it_was_asked_about() -> None:
    calls = [
        replace(CALL, prefix_digests=("a",)),
        replace(CALL, call_id="call_2", run_id="run_2", model=SONNET, prefix_digests=("b",)),
    ]

    summary = summarise(calls, by="run", only=Selection(model=SONNET))

    assert [(row.run, row.wasted_write_tokens) for row in summary.rows] == [("run_2", 300)]


def test_what_several_calls_of_an_hour_wasted_is_added_up() -> None:
    calls = [
        replace(CALL, call_id=f"call_{n}", sent_at=MIDNIGHT + n, prefix_digests=(f"digest {n}",)) for n in range(3)
    ]

    assert summarise(calls).rows[0].wasted_write_tokens == 900


def test_calls_count_in_the_order_in_which_they_were_sent() -> None:
    write = replace(CALL, call_id="z", prefix_digests=("a",))
    read = replace(CALL, call_id="a", sent_at=MIDNIGHT + 9, found_digests=("a",), usage=Usage(cache_read_tokens=300))

    assert summarise([read, write]).total.wasted_write_tokens == 0


def test_calls_that_were_held_or_of_which_nobody_noted_it_are_in_the_summary() -> None:
    held = replace(CALL, held_s={"prefix": 2.0}, held_saved_usd=Decimal("0.5"))
    unpriced = replace(held, call_id="call_3", held_saved_usd=None)

    summary = summarise([held, replace(CALL, call_id="call_2")])

    assert (summary.waiting.held_calls, summary.waiting.held_s, summary.waiting.unknown_calls) == (1, 2.0, 1)
    assert (summary.waiting.saved_usd, summary.waiting.to_json()["saved_usd"]) == (Decimal("0.5"), "0.5")
    unknown = summarise([held, unpriced]).waiting
    assert (unknown.saved_usd, unknown.to_json()["saved_usd"]) == (None, None)
