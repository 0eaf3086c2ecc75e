"""Tool calls drawn for a terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.accounting.usage import ToolCallRecord
from agentcache.report.tool_tables import to_tool_table

EXECUTED = ToolCallRecord(
    tool_call_id="tool_0",
    run_id="run_1",
    agent="security_reviewer",
    call_id="call_1",
    tool="find_definition",
    started_at=10.0,
    ended_at=12.5,
    outcome="ok",
    memo_tier="executed",
    memo_saved_s=0.0,
    result_bytes=12_345,
    result_tokens=4_000,
    result_digest="p1:aa",
)
KEPT = replace(EXECUTED, tool_call_id="tool_1", memo_hit=True, memo_tier="redis", memo_saved_s=0.25)
BEFORE = replace(KEPT, tool_call_id="tool_2", memo_tier=None, memo_saved_s=None, result_bytes=None, result_tokens=None)


def drawn(summary: ToolSummary, width: int = 100) -> list[str]:
    page = StringIO()
    Console(file=page, width=width, color_system=None).print(to_tool_table(summary, width=width))
    return page.getvalue().splitlines()


def cells(summary: ToolSummary, row: str, width: int = 100) -> list[str]:
    return next(line.split() for line in drawn(summary, width) if line.startswith(row))


def test_a_row_tells_how_calls_were_answered_and_what_it_took():
    told = cells(summarise_tools([EXECUTED, KEPT]), "find_definition", width=140)

    assert told[1:] == [
        "security_reviewer", "2", "1", "1", "0", "0", "24.7k", "4,000", "250ms", "2.5s", "2.5s", "2.5s"
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_are_whole_and_nothing_is_cut_in_every_width(width: int):
    busy = [replace(EXECUTED, tool_call_id=f"{n}", result_bytes=10**8, ended_at=5_000.0) for n in range(1_200)]
    lines = drawn(summarise_tools([*busy, replace(KEPT, memo_saved_s=12_345.6)]), width)
    text = "\n".join(lines)

    assert "find_definition" in text
    assert "security_reviewer" in text
    assert "…" not in text
    assert max(map(len, lines)) <= width


def test_a_sum_that_lacks_a_call_is_marked_and_the_caption_says_why():
    lines = drawn(summarise_tools([EXECUTED, KEPT, BEFORE]))

    assert any("≥24.7k" in line and "≥4,000" in line and "≥250ms" in line for line in lines)
    assert "1 calls are from before all this was kept; sums with ≥ leave them out." in "\n".join(lines)


def test_the_caption_names_tiers_and_outcomes():
    late = replace(EXECUTED, tool_call_id="tool_3", outcome="timeout")
    text = "\n".join(drawn(summarise_tools([EXECUTED, KEPT, BEFORE, late]), 140))

    assert "from memo: 1 redis, 1 unknown." in text
    assert "failed: 1 timeout." in text


def test_calls_without_an_agent_have_a_row_only_when_there_are_some():
    nobodys = replace(KEPT, agent=None)

    assert not any("unattributed" in line for line in drawn(summarise_tools([EXECUTED])))
    assert cells(summarise_tools([EXECUTED, nobodys]), "(unattributed)")[1] == "1"


def test_names_are_text_and_not_markup():
    assert any("[bold]x[/]" in line for line in drawn(summarise_tools([replace(EXECUTED, tool="[bold]x[/]")])))


def test_an_empty_ledger_is_a_table_of_nothing():
    assert cells(summarise_tools([]), "total")[:2] == ["total", "0"]
