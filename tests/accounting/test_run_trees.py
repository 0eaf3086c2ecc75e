"""Runs as they nest, with what they cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.run_trees import dearest_runs, run_trees
from agentcache.accounting.usage import CallRecord, RunRecord, Usage

CALL = CallRecord(
    call_id="call_1",
    run_id="top",
    agent="planner",
    model="claude-opus-5",
    sent_at=1_790_000_000.0,
    usage=Usage(),
    cost_usd=Decimal("0.25"),
)


def _run(run_id: str, parent: str | None = None) -> RunRecord:
    return RunRecord(run_id=run_id, parent_run_id=parent, name=run_id, agent=None, started_at=1.0)


def _call(run_id: str, cost: str | None) -> CallRecord:
    return replace(CALL, run_id=run_id, cost_usd=None if cost is None else Decimal(cost))


def test_a_run_costs_what_it_and_everything_below_it_cost():
    runs = [_run("top"), _run("middle", "top"), _run("deep", "middle")]

    (top,) = run_trees(runs, [_call("top", "1"), _call("deep", "0.5"), _call("deep", "0.25")])

    assert (top.cost_usd, top.total_calls, len(top.calls)) == (Decimal("1.75"), 3, 1)
    assert (top.below[0].total_calls, len(top.below[0].calls)) == (2, 0)
    assert top.below[0].below[0].cost_usd == Decimal("0.75")


def test_without_runs_there_is_no_tree():
    assert run_trees([], [_call("top", "1")]) == ()


def test_the_dearest_comes_first():
    runs = [_run("top"), _run("cheap", "top"), _run("dear", "top"), _run("other")]
    calls = [_call("cheap", "1"), _call("dear", "2"), _call("other", "9")]

    other, top = run_trees(runs, calls)

    assert (other.run.run_id, [tree.run.run_id for tree in top.below]) == ("other", ["dear", "cheap"])


def test_a_cost_that_lacks_a_call_is_not_told():
    (top,) = run_trees([_run("top"), _run("below", "top")], [_call("top", "1"), _call("below", None)])

    assert (top.cost_usd, top.priced_usd, top.unpriced_calls) == (None, Decimal(1), 1)


def test_the_dearest_top_level_runs_come_first_with_all_that_is_nested_in_them():
    runs = [_run("top"), _run("middle", "top"), _run("deep", "middle"), _run("other"), _run("idle"), _run("lost", "no")]
    spent = [("deep", Decimal(1)), ("other", Decimal("1.5")), ("top", Decimal(1)), ("deep", Decimal(1))]

    found = dearest_runs(runs, [*spent, ("lost", Decimal(2)), ("unknown", Decimal(9))])

    assert [run.run_id for run in found] == ["top", "lost", "other"]


def test_of_runs_that_cost_the_same_the_earlier_comes_first():
    runs = [replace(_run("b"), started_at=2.0), replace(_run("a"), started_at=2.0), replace(_run("c"), started_at=1.0)]

    assert [run.run_id for run in dearest_runs(runs, [(name, Decimal(1)) for name in "bac"])] == ["c", "a", "b"]


def test_runs_without_calls_are_left_out():
    assert run_trees([_run("top"), _run("below", "top")], []) == ()


def test_a_run_of_a_parent_that_is_not_given_is_a_top_level_one():
    (found,) = run_trees([_run("nested", "elsewhere")], [_call("nested", "1")])

    assert found.run.run_id == "nested"


def test_nesting_may_be_deeper_than_python_recurses():
    runs = [_run("0"), *(_run(str(depth), str(depth - 1)) for depth in range(1, 3_000))]

    (top,) = run_trees(runs, [_call("2999", "1")])

    assert top.cost_usd == Decimal(1)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_every_call_counts_once_however_runs_nest(pairs: list[tuple[int, int]]):
    parents = {run: parent for run, parent in pairs if parent < run}
    runs = [_run(str(run), str(parents[run]) if run in parents else None) for run in range(10)]
    calls = [_call(str(run), "0.25") for run, _ in pairs]

    trees = run_trees(runs, calls)

    assert sum(tree.total_calls for tree in trees) == len(calls)
    assert sum(tree.priced_usd for tree in trees) == len(calls) * Decimal("0.25")
