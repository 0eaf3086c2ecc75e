"""The live view as a table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agentcache.accounting.live import LiveRow, LiveSums, LiveView
from agentcache.accounting.usage import Usage
from agentcache.cli.printing import text_of
from agentcache.report.live_table import to_live_table

SUMS = LiveSums(
    calls=12,
    errors=1,
    usage=Usage(uncached_input_tokens=100, cache_read_tokens=30_000, output_tokens=7),
    priced_usd=Decimal("1.5"),
    minute_calls=3,
    minute_usd=Decimal("0.25"),
    held_s=2.5,
    last_call_at=95.0,
)


def shown(*rows: LiveRow, sums: LiveSums = SUMS) -> str:
    return text_of(to_live_table(LiveView(at=100.0, rows=rows, total=sums)))


def row(name: str, *, depth: int = 0, runs: int = 1, under_way: int = 1) -> LiveRow:
    return LiveRow(name=name, depth=depth, run_id="r", runs=runs, under_way=under_way, started_at=40.0, sums=SUMS)


def test_a_line_says_how_long_how_much_and_how_fast():
    line = next(line for line in shown(row("review")).splitlines() if line.startswith("review"))
    words = ["1m", "12 (1 failed)", "3", "100", "0", "30.0k", "7", "100%", "$1.5000", "$0.2500", "5s", "2.5 s"]
    assert line.split() == " ".join(["review", *words]).split()


def test_groups_are_counted_and_ended_runs_say_so():
    page = shown(row("review"), row("clerk", depth=1, runs=64, under_way=3), row("past", under_way=0))
    assert "\n  clerk ×64 (3 under way)" in page
    assert "\npast (ended)" in page


def test_dollars_that_lack_something_are_at_least():
    assert "≥$1.5000" in shown(sums=LiveSums(priced_usd=Decimal("1.5"), unpriced_calls=1))


def test_nothing_under_way_is_said():
    assert "no run is under way" in shown(sums=LiveSums())


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\nb", r"a\x0ab"),
        ("\u202eevil", r"\u202eevil"),
        ("Ünïcode 日本", "Ünïcode 日本"),
    ],
)
def test_names_cannot_steer_the_terminal(name: str, seen: str):
    assert seen in shown(row(name))


def test_markup_in_a_name_is_shown_as_it_is():
    assert "[bold]x[/bold]" in shown(row("[bold]x[/bold]"))
