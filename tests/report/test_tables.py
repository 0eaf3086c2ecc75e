"""A summary drawn for a terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from agentcache.accounting.pricing import price_record
from agentcache.accounting.summary import Summary, summarise
from agentcache.accounting.usage import CallRecord, RunRecord, Usage
from agentcache.report.tables import to_table

CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="planner",
    model="claude-opus-5",
    sent_at=1_793_000_000.0,
    usage=Usage(
        uncached_input_tokens=1203,
        cache_write_1h_tokens=8800,
        cache_write_5m_tokens=1200,
        cache_read_tokens=36_000,
        output_tokens=812,
    ),
)


def summary(*changes, by="agent", runs=()) -> Summary:
    calls = [price_record(replace(CALL, call_id=f"call_{n}", **change)) for n, change in enumerate(changes)]
    return summarise(calls, by=by, runs=runs)


def drawn(told: Summary, width: int = 100) -> list[str]:
    """Return the lines of the table without what is blank, as a terminal of that width shows it."""
    terminal = StringIO()
    Console(file=terminal, width=width, color_system=None).print(to_table(told, width=width))
    lines = terminal.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    return [line.rstrip() for line in lines if line.strip()]


def cells(told: Summary, first: str, width: int = 100) -> list[str]:
    """Return the cells of the line that begins with `first`."""
    (line,) = [line for line in drawn(told, width) if line.startswith(first)]
    return line.split()


def test_a_row_shows_its_numbers_and_the_footer_their_sum():
    told = summary({}, {"agent": "editor", "model": "claude-haiku-4-5"})

    # 1203·5 + 1200·6.25 + 8800·10 + 36000·0.5 + 812·25 = 139,815 millionths; 47203·5 + 812·25 = 256,315
    row = "planner claude-opus-5 1 1,203 1,200 8,800 36,000 812 76% $0.1398 $0.2563 $0.1165"
    footer = "total 2 2,406 2,400 17,600 72,000 1,624 76% $0.1678 $0.3076 $0.1398"
    assert " ".join(cells(told, "planner")) == row
    assert " ".join(cells(told, "total")) == footer


def test_headings_name_the_columns():
    headings = " ".join(drawn(summary({}))[:2])

    for word in ("agent", "model", "calls", "cached", "5m", "1h", "read", "output", "share", "cost", "saved"):
        assert word in headings


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_are_whole_and_nothing_is_cut_in_every_width(width: int):
    busy = Usage(uncached_input_tokens=10**6, cache_read_tokens=10**9, cache_write_5m_tokens=10**7, output_tokens=10**5)
    text = "\n".join(drawn(summary({}, {"agent": "security_reviewer", "usage": busy}), width))

    assert "security_reviewer" in text
    assert "claude-opus-5" in text
    assert "…" not in text


def test_counts_are_exact_where_they_fit_and_shortened_where_not():
    big = Usage(uncached_input_tokens=123_456, cache_read_tokens=1_234_567, output_tokens=99_999)
    told = summary({"usage": big})

    assert cells(told, "planner", 140)[3:8] == ["123,456", "0", "0", "1,234,567", "99,999"]
    assert cells(told, "total", 80)[2:6] == ["123k", "0", "1.23M", "100k"]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (9_999, "9,999"),
        (10_000, "10.0k"),
        (99_949, "99.9k"),
        (99_951, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (10**9, "1.00G"),
    ],
)
def test_shortened_counts_have_three_digits(count: int, shown: str):
    filler = Usage(uncached_input_tokens=count, cache_read_tokens=10**9)

    assert cells(summary({"usage": filler}), "total", 80)[2] == shown


def test_unattributed_calls_have_a_row_only_when_there_are_some():
    assert not any("unattributed" in line for line in drawn(summary({})))
    assert cells(summary({}, {"agent": None}), "(unattributed)")[1] == "1"


def test_a_row_without_any_price_says_so_and_the_total_is_no_sum():
    told = summary({}, {"agent": "other", "model": "acme-9"})

    assert cells(told, "other")[-3:] == ["unpriced", "unpriced", "-"]
    assert cells(told, "total")[-3:] == ["≥$0.1398", "≥$0.2563", "-"]
    assert any(line.startswith("unpriced: acme-9") for line in drawn(told))


def test_what_caching_cost_more_than_it_saved_is_below_zero():
    told = summary({"usage": Usage(cache_write_1h_tokens=1_000_000)})

    assert cells(told, "total")[-3:] == ["$10.0000", "$5.0000", "-$5.0000"]


def test_a_cost_below_a_hundredth_of_a_cent_is_not_shown_as_nothing():
    told = summary({"usage": Usage(output_tokens=1)})

    assert cells(told, "total")[-3:] == ["<$0.0001", "<$0.0001", "$0.0000"]


def test_names_are_text_and_not_markup():
    assert any("[bold]x[/]" in line for line in drawn(summary({"agent": "[bold]x[/]"})))


def test_by_run_a_row_has_the_name_and_id_of_the_run():
    run = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0)

    assert cells(summary({}, by="run", runs=[run]), "review")[:3] == ["review", "run_1", "1"]


def test_by_model_a_row_has_the_model():
    assert cells(summary({}, by="model"), "claude")[:2] == ["claude-opus-5", "1"]


def test_an_empty_ledger_is_a_table_of_nothing():
    assert cells(summarise([]), "total")[:2] == ["total", "0"]
