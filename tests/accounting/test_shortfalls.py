"""Why recorded calls read less than their conversation had left: one small session for each cause."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.observed import RECORDED, Event
from agentcache.accounting.shortfalls import Certainty, Shortfall, followed, shortfalls
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.prompt.spans import Span
from tests.accounting.recorded import OPUS, STRIPPED, SWITCHED, row


def only(*calls: CallRecord) -> Shortfall:
    (found,) = shortfalls(calls)
    return found


OTHERS = [
    row("other", None, 5, read=900, hour=50, session="other"),
    row("third", None, 6, read=900, hour=70, session="third"),
]
"""Two sessions that begin with the same 900 tokens, which are a head by that."""


def test_a_conversation_that_reads_all_that_was_left_lost_nothing() -> None:
    calls = [
        row("a", None, 0, hour=1000),
        row("b", "a", 10, read=1000, hour=200),
        row("c", "b", 20, read=1200, hour=10),
        row("more", "c", 30, read=1500, hour=10),  # a call that nobody recorded had written on
    ]

    assert shortfalls(calls) == ()
    assert followed(calls) == 3


def test_another_model_has_a_cache_of_its_own() -> None:
    found = only(row("a", None, 0, hour=1000), row("b", "a", 10, hour=1100, model="claude-opus-4-5"))

    assert (found.cause, found.certainty, found.lost_tokens) == ("model_changed", Certainty.EXPLAINED, 1000)


def test_what_was_written_for_five_minutes_is_gone_after_them_and_what_was_for_an_hour_is_not() -> None:
    found = only(row("a", None, 0, five=1000), row("b", "a", 301, hour=1100))
    kept = only(row("a", None, 0, hour=1000), row("b", "a", 301, hour=1100))

    assert (found.cause, found.ttl_s, found.gap_s) == ("expired", 300, 301)
    assert found.lost_usd == Decimal("0.0095")  # 1,000 tokens written at 10 and not read at 0.50 dollars per million
    assert kept.cause == "head_changed"


def test_a_call_that_only_read_leaves_what_was_written_before_it_with_its_lifetime() -> None:
    calls = [row("a", None, 0, five=1000), row("b", "a", 200, read=1000), row("c", "b", 600, five=1000)]

    assert only(*calls).cause == "expired"


def test_a_read_of_what_nobody_recorded_writing_is_taken_to_last_an_hour() -> None:
    found = only(row("a", None, 0, read=1000), row("b", "a", 400, hour=1000))

    assert (found.cause, found.ttl_s) == ("head_changed", None)


def test_what_is_still_being_written_cannot_be_read() -> None:
    calls = [
        row("a", None, 0, hour=1000, ended_at=4, messages=1),
        row("b", "a", 10, read=1000, hour=500, ended_at=20),
        row("c", "b", 12, read=1000, hour=520),
    ]

    found = only(*calls)

    assert (found.cause, found.lost_tokens) == ("concurrent", 500)
    assert (found.upto_tokens, found.found_messages) == (None, None)  # the prompt was no other


def test_waiting_does_not_explain_that_older_entries_were_not_found() -> None:
    calls = [
        row("a", None, 0, hour=1000),
        row("b", "a", 10, read=1000, hour=500, ended_at=20),
        row("c", "b", 12, read=0, hour=1520),
    ]

    assert only(*calls).cause == "head_changed"


def test_thinking_switched_off_shows_in_the_answers_of_models_that_are_told_to_think() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, model=SWITCHED, asked=True, thinks=True),
        row("b", "a", 10, read=900, hour=120, model=SWITCHED, asked=True, thinks=False),
    ]

    assert (only(*calls).cause, only(*calls).lost_tokens) == ("thinking_changed", 100)


def test_models_that_choose_themselves_whether_to_think_tell_nothing_by_it() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, asked=True, thinks=True),
        row("b", "a", 10, read=900, hour=120, asked=True, thinks=False),
    ]

    assert only(*calls).cause == "messages_changed"


def test_an_answer_to_a_tool_need_not_think_though_thinking_is_on() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, model=SWITCHED, asked=True, thinks=True),
        row("b", "a", 10, read=1000, hour=20, model=SWITCHED),
        row("c", "b", 20, read=900, hour=120, model=SWITCHED, asked=True, thinks=True),
    ]

    assert only(*calls).cause == "messages_changed"


def test_older_models_lose_the_last_turns_thinking_when_the_user_speaks() -> None:
    calls = [
        row("a", None, 0, hour=1000, model=STRIPPED, asked=True, thinks=True),
        row("b", "a", 10, read=1000, hour=300, model=STRIPPED, thinks=True, positions=3),
        row("c", "b", 20, read=1000, hour=250, model=STRIPPED, asked=True, thinks=True, positions=2),
    ]

    assert (only(*calls).cause, only(*calls).lost_tokens) == ("thinking_stripped", 250)


def test_a_long_turn_without_its_thinking_is_out_of_the_lookback_and_the_head_remains() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, model=STRIPPED, asked=True, thinks=True),
        row("b", "a", 10, read=1000, hour=300, model=STRIPPED, thinks=True, positions=19),
        row("c", "b", 20, read=900, hour=350, model=STRIPPED, asked=True, thinks=True, positions=4),
    ]

    assert only(*calls).cause == "thinking_stripped"
    assert only(*calls[:1], replace(calls[1], plan={RECORDED: {"follows": "a"}}), calls[2]).cause == "messages_changed"


def test_a_turn_of_twenty_positions_is_still_looked_through() -> None:
    calls = [
        row("before", None, 0, hour=900),
        row("a", "before", 5, read=900, hour=100, model=STRIPPED, asked=True, thinks=True, positions=5),
        row("b", "a", 10, read=1000, hour=300, model=STRIPPED, thinks=True, positions=18),
        row("c", "b", 20, read=900, hour=450, model=STRIPPED, asked=True, thinks=True, positions=2),
    ]

    assert only(*(replace(call, model=STRIPPED) for call in calls)).cause == "history_changed"


def turn(
    *, model: str = STRIPPED, asked: bool = True, thinks: bool = True, asks_again: bool = True
) -> list[CallRecord]:
    """Return a turn of two calls, and a call after it that found no more of it than its beginning."""
    return [
        row("a", None, 0, hour=1000, model=model, asked=asked, thinks=thinks),
        row("b", "a", 10, read=1000, hour=300, model=model, positions=3),
        row("c", "b", 20, read=1000, hour=350, model=model, asked=asks_again, thinks=thinks, positions=2),
    ]


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(turn(model=OPUS), id="a model that keeps all thinking"),
        pytest.param(turn(model="claude-of-tomorrow"), id="a model of which nothing is known"),
        pytest.param(turn(thinks=False), id="no thinking to take out"),
        pytest.param(turn(asks_again=False), id="the user has not spoken"),
        pytest.param(turn(asked=False), id="nobody saw where the turn began"),
        pytest.param([*turn()[:2], replace(turn()[2], plan={})], id="nothing is known of what was sent"),
    ],
)
def test_thinking_is_taken_out_only_where_there_is_some_and_by_a_model_that_does_so(calls: list[CallRecord]) -> None:
    assert only(*turn()).cause == "thinking_stripped"
    assert only(*calls).cause == "history_changed"


def test_a_prompt_that_shrank_though_its_conversation_grew_was_cut() -> None:
    calls = [
        row("a", None, 0, read=900, hour=4000),
        row("b", "a", 10, read=4900, hour=1000),
        row("c", "b", 20, read=2000, hour=1500, messages=5),
    ]

    found = only(*calls)

    assert (found.cause, found.lost_tokens, found.lost_usd) == ("history_shortened", 1500, Decimal("0.01425"))
    assert (found.left_tokens, found.upto_tokens) == (5900, 4900)


def test_a_prompt_that_shrank_after_the_client_told_of_a_compaction_was_compacted() -> None:
    calls = [row("a", None, 0, read=900, hour=4000), row("b", "a", 10, read=2000, hour=1500, events=(Event.COMPACTED,))]

    assert only(*calls).cause == "compacted"


def test_another_head_is_not_taken_for_a_cut_nor_for_thinking_switched_off() -> None:
    cut = row("b", "a", 10, hour=2000)
    switched = row("b", "a", 10, hour=5000, model=SWITCHED, asked=True, thinks=False)

    assert only(row("a", None, 0, read=900, hour=4000), cut).cause == "head_changed"
    thought = row("a", None, 0, read=900, hour=4000, model=SWITCHED, asked=True, thinks=True)
    assert only(thought, switched).cause == "head_changed"


def test_more_positions_than_a_breakpoint_looks_back_explain_the_head() -> None:
    calls = [row("a", None, 0, read=900, hour=100), row("b", "a", 10, read=900, hour=400, positions=21)]

    assert only(*calls).cause == "lookback_exceeded"
    assert only(calls[0], row("b", "a", 10, read=900, hour=400, positions=20)).cause == "messages_changed"


def test_a_summary_in_the_place_of_the_history_is_a_compaction_unless_all_had_expired() -> None:
    before = row("a", None, 0, read=900, hour=4100)
    summed = row("b", "a", 10, read=900, hour=600, compacted=True)

    assert (only(before, summed).cause, only(before, summed).lost_tokens) == ("compacted", 600)
    assert shortfalls([before, row("b", "a", 4000, hour=1500, compacted=True)]) == ()


def test_behind_a_summary_the_history_before_it_is_no_longer_expected() -> None:
    calls = [
        row("a", None, 0, read=900, hour=4100),
        row("b", "a", 10, read=900, hour=600, compacted=True),
        row("c", "b", 20, read=1500, hour=40),
    ]

    assert [found.call.call_id for found in shortfalls(calls)] == ["b"]


def test_a_head_that_was_found_before_and_is_not_now_is_another() -> None:
    calls = [row("a", None, 0, read=900, hour=100), row("b", "a", 10, read=880, hour=120)]

    found = only(*calls, *OTHERS)

    assert (found.cause, found.certainty, found.upto_tokens) == ("head_changed", Certainty.NARROWED, 900)


def test_the_head_without_the_messages_is_told_by_other_sessions_that_begin_with_it() -> None:
    calls = [row("a", None, 0, hour=1000), row("b", "a", 10, read=900, hour=120, events=(Event.COMMAND,))]

    found = only(*calls, *OTHERS)

    assert (found.cause, found.upto_tokens, found.events) == ("messages_changed", 1000, (Event.COMMAND,))
    assert only(*calls).cause == "unexplained"


def test_a_part_of_the_history_ends_where_an_earlier_call_ended() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, messages=1),
        row("b", "a", 10, read=1000, hour=200, messages=3),
        row("c", "b", 20, read=1200, hour=200, messages=5),
        row("d", "c", 30, read=1200, hour=300, messages=7),
    ]

    found = only(*calls)

    assert (found.cause, found.found_messages, found.upto_tokens) == ("history_changed", 3, 1400)


def test_a_part_of_the_history_may_end_where_no_recorded_call_ended() -> None:
    calls = [
        row("a", None, 0, hour=1000),
        row("b", "a", 10, read=1000, hour=500),
        row("c", "b", 20, read=1200, hour=400),
    ]

    assert (only(*calls).cause, only(*calls).found_messages) == ("history_changed", None)


def test_a_call_that_goes_back_to_what_stood_before_a_detour_lost_nothing_and_shows_what_the_detour_was() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100),
        row("b", "a", 10, read=1000, hour=200),
        row("detour", "b", 20, read=900, hour=310),
        row("d", "detour", 30, read=1200, hour=60),
    ]

    found = only(*calls)

    assert (found.call.call_id, found.cause) == ("detour", "changed_for_one_call")


def test_a_rewind_carries_on_an_earlier_call_and_lost_nothing() -> None:
    calls = [
        row("a", None, 0, hour=1000),
        row("b", "a", 10, read=1000, hour=200),
        row("c", "b", 20, read=1200, hour=300),
        row("again", "b", 30, read=1200, hour=50),
    ]

    assert shortfalls(calls) == ()


def test_a_call_whose_usage_nobody_recorded_is_passed_over() -> None:
    unknown = replace(row("b", "a", 10), usage=None)
    calls = [row("a", None, 0, hour=1000), unknown, row("c", "b", 20, read=1000, hour=30), row("d", "c", 30, hour=1100)]

    found = only(*calls)

    assert (found.call.call_id, found.earlier.call_id, followed(calls)) == ("d", "c", 2)


def test_rows_that_say_nothing_of_what_they_follow_are_taken_in_the_order_of_their_conversation() -> None:
    calls = [
        replace(call, plan={})
        for call in (
            row("a", None, 0, hour=1000),
            row("z", None, 5, hour=700, session="another"),
            row("b", None, 10, read=0, hour=1200),
        )
    ]

    found = only(*calls)

    assert (found.call.call_id, found.earlier.call_id, found.cause) == ("b", "a", "head_changed")


def test_calls_whose_prompt_the_runtime_knows_or_without_conversation_are_left_to_others() -> None:
    first, second = row("a", None, 0, hour=1000), row("b", "a", 10, hour=1000)
    span = Span(layer="static", section="s", where="system[0]", tokens=1000, digest="d")

    assert shortfalls([first, replace(second, prompt_spans=(span,))]) == ()
    assert shortfalls([first, replace(second, conversation=None)]) == ()
    assert shortfalls([first, replace(second, usage=Usage())]) == ()


def test_calls_that_follow_each_other_in_a_circle_are_no_endless_line() -> None:
    calls = [row("a", "b", 0, hour=1000), row("b", "a", 10, read=1000, hour=20)]

    assert followed(calls) == 1
