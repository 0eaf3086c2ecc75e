"""The page of a report as text, and what it shows where there is too much or nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.layers import summarise_layers
from agentcache.accounting.run_trees import run_trees
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import summarise
from agentcache.accounting.usage import CallRecord, RunRecord
from agentcache.errors import TargetError
from agentcache.report.drawing import NARROW, WIDE, Bars, Piece, draw
from agentcache.report.page import ShownRun, shown_run, to_html
from agentcache.report.panels import Column, DataTable, Panel, name
from tests.report.spending import NOON, Spending, team
from tests.security.hostile import KEPT, driving

TEAM = team(runs=2, calls_each=2)
BARS = Bars(
    label="Bars.",
    bars=("<script>alert(1)</script>", "b"),
    series=("one",),
    pieces=[Piece(bar="<script>alert(1)</script>", series="one", amount=2.0)],
    axis="things",
)


def _undrawn(bars: Bars, width: int) -> str:
    """Stand in for a drawing where a test looks at the rest."""
    return f"<svg data-width='{width}'></svg>"


def _page(spending: Spending, further: Sequence[Panel] = ()) -> str:
    return to_html(spending.calls, spending.tool_calls, spending.runs, made_at=NOON, further=further, drawn=_undrawn)


def _embedded(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', page, flags=re.DOTALL)
    told: dict[str, Any] = json.loads(text)
    return told


def test_an_empty_ledger_has_a_page():
    page = _page(Spending(runs=[], calls=[], tool_calls=[]))

    assert "No run made a call." in page
    assert "no calls" in page
    assert _embedded(page)["agent"]["rows"] == []


def test_what_is_not_asked_for_tells_what_was_read_and_is_not_counted():
    only = Selection(agent="planner")
    page = to_html(TEAM.calls, TEAM.tool_calls, TEAM.runs, made_at=NOON, only=only, drawn=_undrawn)

    assert _embedded(page)["agent"] == summarise(TEAM.calls, TEAM.tool_calls, runs=TEAM.runs, only=only).to_json()
    assert _embedded(page)["layer"] == summarise_layers(TEAM.calls, only=only).to_json()
    assert [row["agent"] for row in _embedded(page)["tool"]["rows"]] == ["planner"]
    assert 'data-run="run_0_planner"' in page
    assert 'data-run="run_0_searcher"' not in page


def test_each_chart_is_drawn_for_a_desk_and_for_a_phone():
    page = _page(TEAM)

    assert page.count(f"data-width='{WIDE}'") == page.count(f"data-width='{NARROW}'") == 8


def test_what_is_not_known_is_told_as_such():
    unknown = replace(TEAM.calls[0], call_id="unknown", usage=None, parts=(), cost_usd=None, counterfactual_usd=None)
    page = _page(replace(TEAM, calls=[*TEAM.calls, unknown]))
    known = sum((call.cost_usd or Decimal(0) for call in TEAM.calls), Decimal(0))

    assert f"<strong>≥${known.normalize()}</strong>" in page
    assert "1 of 17 calls have no known price" in page
    assert '<th scope="row" data-field="agent">(unattributed)</th>' in page


@settings(max_examples=30, deadline=None)  # a page each
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_name_ends_the_json_or_becomes_an_element(agent: str):
    hostile = f"</script><x>{agent}"
    page = _page(replace(TEAM, calls=[replace(TEAM.calls[0], agent=hostile)], tool_calls=[]))

    assert _embedded(page)["agent"]["rows"][0]["agent"] == hostile
    assert "<x>" not in page
    assert not driving(page)


def test_others_may_add_panels():
    table = DataTable(columns=(Column(heading="Cause", field="cause", shown=name),), rows=[{"cause": "moved & gone"}])
    page = _page(TEAM, [Panel(key="misses", heading="Misses", caption="Why.", table=table)])

    assert '<section id="misses"' in page
    assert "moved &amp; gone" in page


def test_a_drawing_escapes_the_names_in_it_and_refers_to_nothing():
    drawing = draw(BARS, WIDE)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in drawing
    assert "<script" not in drawing
    assert set(re.findall(r"https?://[^\"]+", drawing)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r"\s(?:id|href|xlink:href)=", drawing)


def test_a_drawing_shows_what_hides_in_a_name_and_the_drawer_lives():
    name = KEPT.replace("\n", "")  # that one alone it takes
    piece = Piece(bar=name, series=name, amount=1.0)
    drawing = draw(Bars(label="Bars.", bars=(name,), series=(name, "other"), pieces=[piece], axis="things"), WIDE)

    assert not driving(drawing)
    assert "\\x1b[31mred" in drawing


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_drawing_is_as_wide_as_asked(width: int):
    assert f'width="{width}"' in draw(BARS, width)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)

    with pytest.raises(TargetError, match=r"pip install 'agentcache-claude\[html\]'"):
        draw(BARS, WIDE)


def _shown_ids(run: ShownRun) -> list[str]:
    return [run.tree.run.run_id, *(each for child in run.below for each in _shown_ids(child))]


def _crowd(costs: Sequence[int]) -> tuple[list[RunRecord], list[CallRecord]]:
    """Return a run with one nested in it for each cost, and every second of those nested in the one before."""
    top = replace(TEAM.runs[0], run_id="top")
    runs, calls = [top], [replace(TEAM.calls[0], call_id="own", run_id="top")]
    for number, cost in enumerate(costs):
        parent = f"run_{number - 1}" if number % 2 else "top"
        runs.append(replace(top, run_id=f"run_{number}", parent_run_id=parent))
        calls.append(replace(TEAM.calls[0], call_id=f"call_{number}", run_id=f"run_{number}", cost_usd=Decimal(cost)))
    return runs, calls


def test_of_many_nested_runs_the_dearest_are_shown_and_the_rest_is_counted():
    (tree,) = run_trees(*_crowd([1, 1, 9, 5, 2, 2]))

    shown = shown_run(tree, most=3)

    assert _shown_ids(shown) == ["top", "run_2", "run_3"]
    assert (shown.more_runs, shown.below[0].more_runs) == (2, 0)


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 14))
def test_as_many_runs_are_shown_as_may_be(costs: list[int], most: int):
    (tree,) = run_trees(*_crowd(costs))

    assert len(_shown_ids(shown_run(tree, most=most))) == min(most, len(costs) + 1)


def test_of_many_calls_the_dearest_are_shown_in_the_order_they_were_sent():
    runs, _ = _crowd([])
    calls = [
        replace(TEAM.calls[0], call_id=f"call_{n}", run_id="top", sent_at=NOON + n, cost_usd=Decimal(n % 25))
        for n in range(50)
    ]
    (tree,) = run_trees(runs, calls)

    shown = shown_run(tree)

    assert shown.more_calls == 30
    assert min(call.cost_usd or 0 for call in shown.calls) == 15
    assert [call.sent_at for call in shown.calls] == sorted(call.sent_at for call in shown.calls)
