"""Runs under way: what is shown, what nests, what a next look must read."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.live import FADE_S, LATE_S, LiveRuns, LiveSums
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage

NOW = 1_000_000.0


def run(run_id: str, name: str, parent: str | None = None, *, at: float = NOW - 100) -> RunRecord:
    return RunRecord(run_id=run_id, parent_run_id=parent, name=name, agent=None, started_at=at)


def ended(record: RunRecord, at: float) -> RunRecord:
    return replace(record, status=RunStatus.FINISHED, ended_at=at)


def call(call_id: str, run_id: str, *, at: float = NOW - 5, usd: str | None = "0.25") -> CallRecord:
    return CallRecord(
        call_id=call_id,
        run_id=run_id,
        agent="clerk",
        model="claude-sonnet-5-5",
        sent_at=at - 2,
        ended_at=at,
        usage=Usage(uncached_input_tokens=10, cache_read_tokens=90, output_tokens=5),
        cost_usd=None if usd is None else Decimal(usd),
        held_s={"prefix": 0.5},
    )


def live(runs: list[RunRecord], calls: list[CallRecord], *, now: float = NOW) -> LiveRuns:
    shown = LiveRuns(window_s=3600)
    shown.take(runs, calls, now=now)
    return shown


def test_a_fan_out_is_one_line_beneath_its_workflow_and_counts_in_it():
    runs = [run("top", "review"), run("a", "clerk", "top"), ended(run("b", "clerk", "top"), NOW - 1)]
    view = live(runs, [call("1", "a"), call("2", "b")]).view(NOW)
    review, clerks = view.rows
    assert (review.name, review.depth, clerks.name, clerks.depth) == ("review", 0, "clerk", 1)
    assert (clerks.runs, clerks.under_way) == (2, 1)
    assert review.sums == clerks.sums == view.total
    assert (view.total.calls, view.total.priced_usd, view.total.held_s) == (2, Decimal("0.50"), 1.0)
    assert view.total.usage == Usage(uncached_input_tokens=20, cache_read_tokens=180, output_tokens=10)
    assert view.total.last_call_at == NOW - 5


def test_sums_are_added_number_by_number():
    one = LiveSums(
        calls=1,
        errors=2,
        usage=Usage(output_tokens=3),
        unknown_calls=4,
        priced_usd=Decimal(5),
        unpriced_calls=6,
        minute_calls=7,
        minute_usd=Decimal(8),
        held_s=9.0,
        last_call_at=NOW,
    )
    assert one + replace(one, last_call_at=None) == LiveSums(
        calls=2,
        errors=4,
        usage=Usage(output_tokens=6),
        unknown_calls=8,
        priced_usd=Decimal(10),
        unpriced_calls=12,
        minute_calls=14,
        minute_usd=Decimal(16),
        held_s=18.0,
        last_call_at=NOW,
    )


def test_what_an_earlier_look_read_stays():
    shown = live([run("one", "review")], [call("1", "one")])
    shown.take([run("two", "clerk")], [call("2", "two")], now=NOW + 1)
    view = shown.view(NOW + 1)
    assert (view.at, [(row.run_id, row.sums.calls) for row in view.rows]) == (NOW + 1, [("one", 1), ("two", 1)])
    assert [row.started_at for row in view.rows] == [NOW - 100, NOW - 100]


def test_a_run_whose_parent_was_not_read_stands_at_the_top():
    (row,) = live([run("below", "clerk", "not read")], []).view(NOW).rows
    assert (row.run_id, row.depth) == ("below", 0)


def test_a_run_gives_a_sign_until_its_last_call_or_nested_run_ends():
    top, old = run("top", "review", at=NOW - 3000), run("old", "clerk", "top", at=NOW - 2000)
    shown = live([top, old], [call("1", "top", at=NOW - 1000)])
    assert [len(shown.view(NOW - 1000 + 3600 + late).rows) for late in (0, 1)] == [2, 0]
    nested = live([top, ended(run("new", "clerk", "top", at=NOW - 500), NOW - 400), old], [])
    assert [len(nested.view(NOW - 400 + 3600 + late).rows) for late in (0, 1)] == [2, 0]


def test_rates_count_the_last_minute_and_dollars_so_far_everything():
    total = live([run("top", "review")], [call("1", "top", at=NOW - 61), call("2", "top", at=NOW - 59)]).view(NOW).total
    assert (total.minute_calls, total.minute_usd, total.priced_usd) == (1, Decimal("0.25"), Decimal("0.50"))


def test_a_minute_ends_now_and_begins_behind_the_call_of_a_minute_ago():
    ends = [call("1", "top", at=NOW - 60), call("2", "top", at=NOW)]
    assert live([run("top", "review")], ends).view(NOW).total.minute_calls == 1


def test_an_unknown_price_and_an_unknown_usage_are_counted_and_not_taken_for_zero():
    lost = replace(call("1", "top", usd=None), usage=None, error="cancelled")
    total = live([run("top", "review")], [lost]).view(NOW).total
    assert (total.unpriced_calls, total.unknown_calls, total.errors) == (1, 1, 1)


def test_a_run_that_ended_fades():
    shown = live([ended(run("top", "review"), NOW)], [])
    assert [row.under_way for row in shown.view(NOW + FADE_S).rows] == [0]
    assert shown.view(NOW + FADE_S + 1).rows == ()


def test_a_run_that_gives_no_sign_is_taken_for_lost_and_one_that_calls_is_not():
    shown = live([run("lost", "a", at=NOW - 3000), run("alive", "b", at=NOW - 3000)], [call("1", "alive")])
    assert [row.run_id for row in shown.view(NOW + 1000).rows] == ["alive"]


def test_the_first_look_reads_the_window_and_the_next_what_may_have_come_since():
    shown = LiveRuns(window_s=3600)
    assert shown.since(NOW) == NOW - 3600
    shown.take([], [], now=NOW)
    assert shown.since(NOW + 1) == NOW - LATE_S


def test_a_long_run_is_read_again_by_its_id_until_it_has_ended():
    old = run("old", "review", at=NOW - 3000)
    shown = live([old, run("below", "clerk", "old", at=NOW - 2900), run("new", "review")], [])
    assert shown.older_runs(NOW) == ["old"]
    shown.take([ended(old, NOW)], [], now=NOW)
    assert shown.older_runs(NOW) == []


def test_runs_from_before_the_window_are_asked_for_when_they_call_or_start_others():
    shown = live([run("known", "review")], [])
    found = [run("new", "clerk", "older")]
    assert shown.unknown_runs(found, [call("1", "known"), call("2", "oldest")]) == ["older", "oldest"]
    assert shown.unknown_runs([*found, run("older", "a"), run("oldest", "b")], [call("2", "oldest")]) == []


def test_what_ended_long_ago_is_forgotten_with_its_calls():
    shown = live([ended(run("top", "review", at=NOW - 4000), NOW - 3500)], [call("1", "top", at=NOW - 3500)])
    assert (shown._runs, shown._calls) == ({}, {})


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=12), st.data())
def test_the_total_has_every_call_once_whatever_nests_in_what(shape: list[tuple[int, bool]], data: st.DataObject):
    runs = [run("r0", "top")]
    for number, (above, again) in enumerate(shape, start=1):
        runs.append(run(f"r{number}", "twin" if again else f"n{number}", f"r{min(above, number - 1)}"))
    owners = data.draw(st.lists(st.sampled_from([item.run_id for item in runs]), max_size=20))
    calls = [call(str(number), owner) for number, owner in enumerate(owners)]
    shown = LiveRuns(window_s=3600)
    for record in calls:  # in as many looks as there are calls, each row twice
        shown.take(runs, [record], now=NOW)
        shown.take(runs, [record], now=NOW)
    shown.take(runs, [], now=NOW)
    view = shown.view(NOW)
    assert view.total.calls == len(calls)
    assert view.total.priced_usd == Decimal("0.25") * len(calls)
    assert sum(row.runs for row in view.rows) == len(runs)


def test_nothing_is_a_view_too():
    assert live([], []).view(NOW).total == LiveSums()
