"""Pauses between the calls of one line, counted against the lifetimes of the cache."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.call_gaps import gap_histogram
from agentcache.accounting.usage import CallKind, CallRecord, Usage

CALL = CallRecord(
    call_id="call_1", run_id="run_1", agent="planner", model="claude-opus-5", sent_at=1_790_000_000.0, usage=Usage()
)


def _after(*seconds: float) -> list[CallRecord]:
    return [
        replace(CALL, call_id=f"call_{number}", sent_at=CALL.sent_at + after) for number, after in enumerate(seconds)
    ]


def _counted(calls: list[CallRecord]) -> dict[str, int]:
    return {count.span: count.gaps for count in gap_histogram(calls) if count.gaps}


def test_a_gap_as_long_as_a_lifetime_is_outlasted_by_it():
    found = {count.span: count.outlasted_by for count in gap_histogram(_after(0, 300, 601, 4_201, 7_802)) if count.gaps}

    assert found == {"1 to 5 min": "5m", "5 to 15 min": "1h", "15 to 60 min": "1h", "over 1 h": None}


def test_a_count_as_json():
    assert gap_histogram([])[3].to_json() == {"span": "1 to 5 min", "gaps": 0, "outlasted_by": "5m"}


def test_lines_do_not_mix():
    first, second = _after(0, 20)

    assert _counted([first, second]) == {"10 to 60 s": 1}
    for other in (
        replace(second, agent="reviewer"),
        replace(second, model="claude-haiku-5-5"),
        replace(second, run_id="run_2"),
        replace(second, conversation="conv_1"),
    ):
        assert _counted([first, other]) == {}


def test_a_conversation_is_one_line_in_all_its_runs():
    first, second = (replace(call, conversation="conv_1") for call in _after(0, 5))

    assert _counted([first, replace(second, run_id="run_2")]) == {"1 to 10 s": 1}


def test_what_the_server_caused_inside_a_call_is_no_call_of_the_line():
    first, second, third = _after(0, 100, 200)

    assert _counted([first, replace(second, kind=CallKind.COMPACTION), third]) == {"1 to 5 min": 1}


@given(st.lists(st.floats(0, 1e6), max_size=30))
def test_a_line_has_a_gap_less_than_calls_whatever_their_order(seconds: list[float]):
    assert sum(count.gaps for count in gap_histogram(_after(*seconds))) == max(0, len(seconds) - 1)
