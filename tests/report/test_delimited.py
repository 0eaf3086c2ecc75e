"""A summary as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.pricing import price_record
from agentcache.accounting.summary import summarise
from agentcache.accounting.tool_summary import summarise_tools
from agentcache.accounting.usage import CallRecord, ToolCallRecord, Usage
from agentcache.report.delimited import to_csv, to_markdown

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
TOOL_CALL = ToolCallRecord(
    tool_call_id="tool_1",
    run_id="run_1",
    agent="clerk",
    call_id="call_1",
    tool="look_up",
    started_at=1.0,
    ended_at=2.0,
    outcome="ok",
    memo_tier="executed",
)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_the_fields_of_the_json():
    summary = summarise([CALL])

    (row,) = read(to_csv(summary))

    assert list(row) == list(summary.rows[0].to_json())
    assert (row["agent"], row["calls"], row["cost_usd"]) == ("höflich", "1", "0.000055")


def test_what_is_not_known_is_an_empty_cell():
    (row,) = read(to_csv(summarise([price_record(replace(CALL, model="acme-9"))])))

    assert (row["cost_usd"], row["saved_usd"], row["wasted_write_tokens"]) == ("", "", "0")


def test_what_is_unattributed_has_a_row_of_its_own():
    unknown = replace(CALL, call_id="call_2", usage=None, cost_usd=None)

    rows = read(to_csv(summarise([CALL, unknown], by="day")))

    assert [(row["day"], row["calls"]) for row in rows] == [("2026-10-26", "1"), ("(unattributed)", "1")]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 10**7), st.integers(0, 40)), max_size=20))
def test_the_rows_of_the_csv_add_up_to_the_total(drawn: list[tuple[str | None, int, int]]):
    calls = [
        price_record(
            replace(
                CALL,
                call_id=f"call_{n}",
                agent=agent,
                sent_at=CALL.sent_at + 3600 * hours,
                usage=Usage(cache_read_tokens=tokens),
            )
        )
        for n, (agent, tokens, hours) in enumerate(drawn)
    ]
    for by in ("agent", "model", "run", "day"):
        summary = summarise(calls, by=by)
        rows = read(to_csv(summary))

        assert sum(int(row["cache_read_tokens"]) for row in rows) == sum(tokens for _, tokens, _ in drawn)
        assert sum(Decimal(row["cost_usd"]) for row in rows) == summary.total.cost_usd


def test_tools_have_a_column_for_each_outcome_and_tier():
    (row,) = read(to_csv(summarise_tools([TOOL_CALL])))

    assert (row["tool"], row["agent"], row["hits.sqlite"], row["errors.timeout"]) == ("look_up", "clerk", "0", "0")
    assert row["duration_s.mean"] == "1.0"
    assert "duration_s" not in row


def test_markdown_has_the_total_and_no_empty_columns():
    lines = to_markdown(summarise([CALL], by="model")).splitlines()

    assert lines[0].startswith("| model | calls | uncached_input_tokens |")
    assert lines[1].startswith("| --- | ---: | ---: |")
    assert lines[2].startswith("| claude-opus-5 | 1 | 1 |")
    assert lines[3].startswith("| total | 1 | 1 |")
    assert "agent" not in lines[0]


def test_a_bar_in_a_name_does_not_end_its_cell():
    odd = replace(CALL, agent="a|b\nc")

    assert "| a\\|b c | claude-opus-5 |" in to_markdown(summarise([odd]))


@pytest.mark.parametrize(
    "name",
    ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "\uff1d1", '=1",x'],
)
def test_no_name_is_a_formula_to_a_spreadsheet(name: str):
    (row,) = read(to_csv(summarise([replace(CALL, agent=name, model=name)])))

    assert row["agent"] == row["model"] == "'" + name.replace("\t", "    ")


def test_no_name_ends_its_row():
    (row,) = read(to_csv(summarise([replace(CALL, agent="a\r=1\nb\0c\u202e")])))

    assert row["agent"] == r"a\x0d=1\x0ab\x00c\u202e"


def test_a_number_below_zero_stays_a_number():
    lost = price_record(replace(CALL, usage=Usage(cache_write_5m_tokens=10_000)))

    (row,) = read(to_csv(summarise([lost])))

    assert Decimal(row["saved_usd"]) < 0


def test_no_name_is_markup_in_markdown():
    name = "<img src=x onerror=alert(1)> [here](javascript:x) `a` **b** ~~c~~ &amp; \x1b[2J\u202e"
    table = to_markdown(summarise([replace(CALL, agent=name)]))

    assert "&lt;img src=x onerror=alert(1)&gt; \\[here\\](javascript:x)" in table
    assert "\\`a\\` \\*\\*b\\*\\* \\~\\~c\\~\\~ &amp;amp; \\\\x1b\\[2J\\\\u202e" in table


def test_an_empty_ledger_is_a_heading():
    assert to_csv(summarise([])).startswith("agent,model,calls,")
    assert len(to_csv(summarise([])).splitlines()) == 1
