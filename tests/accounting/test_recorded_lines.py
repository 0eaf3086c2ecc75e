"""How recorded calls are linked into lines, and what a line tells of each of them."""

from __future__ import annotations

from dataclasses import replace

from agentcache.accounting.recorded_lines import recorded_steps
from agentcache.accounting.shortfalls import followed, shortfalls
from agentcache.accounting.usage import CallRecord, Usage
from tests.accounting.recorded import SWITCHED, row


def told(*calls: CallRecord) -> list[tuple[str, str]]:
    return [(found.call.call_id, found.cause.value) for found in shortfalls(calls)]


def test_calls_of_the_same_moment_are_linked_in_whatever_order_they_stand() -> None:
    calls = [row("a", "b", 0, read=1500, hour=100), row("b", "c", 0, read=1000, hour=500), row("c", None, 0, hour=1000)]

    steps = {step.call.call_id: step for step in recorded_steps(calls)}

    assert [step.call.call_id for step in steps["a"].ancestors()] == ["b", "c"]
    assert {step.family for step in steps.values()} == {"c"}


def test_calls_of_unknown_usage_that_follow_each_other_in_a_circle_are_passed_over() -> None:
    unknown = [replace(row(name, above, at), usage=None) for name, above, at in (("x", "y", 0), ("y", "x", 1))]

    assert followed([*unknown, row("a", "x", 2, hour=1000)]) == 0


def test_a_call_that_was_billed_nothing_is_none_of_a_line() -> None:
    refused = replace(row("b", "a", 10), usage=Usage())
    calls = [row("a", None, 0, hour=1000), refused, row("c", "b", 20, read=1000, hour=9)]

    assert [(step.call.call_id, step.before and step.before.call.call_id) for step in recorded_steps(calls)] == [
        ("a", None),
        ("c", "a"),
    ]


def test_behind_a_summary_a_prompt_begins_anew() -> None:
    calls = [
        row("a", None, 0, read=880, hour=4120),
        row("b", "a", 10, read=900, hour=600, compacted=True),
        row("c", "b", 20, read=900, hour=640),
    ]

    c = recorded_steps(calls)[-1]

    assert (c.opening.call.call_id, [step.call.call_id for step in c.ancestors()]) == ("b", ["b"])
    assert (c.lengths_left(), c.family) == ({900, 1500}, "a")
    assert told(*calls) == [("b", "compacted"), ("c", "messages_changed")]


def test_thinking_stays_on_while_tools_answer() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, model=SWITCHED, asked=True, thinks=True),
        row("b", "a", 10, read=1000, hour=20, model=SWITCHED),
        row("c", "b", 20, read=900, hour=150, model=SWITCHED, asked=True, thinks=False),
    ]

    assert [step.mode for step in recorded_steps(calls)] == [True, True, False]
    assert told(*calls) == [("c", "thinking_changed")]


def test_whether_thinking_was_on_is_not_known_before_an_answer_to_the_user() -> None:
    calls = [
        row("a", None, 0, read=900, hour=100, model=SWITCHED),
        row("b", "a", 10, read=900, hour=120, model=SWITCHED, asked=True, thinks=True),
    ]

    assert [step.mode for step in recorded_steps(calls)] == [None, True]
    assert told(*calls) == [("b", "messages_changed")]


def test_another_model_tells_nothing_of_whether_thinking_is_on() -> None:
    calls = [
        row("a", None, 0, hour=100, model="claude-sonnet-4-5", asked=True, thinks=True),
        row("b", "a", 10, hour=120, model=SWITCHED),
    ]

    assert [step.mode for step in recorded_steps(calls)] == [True, None]


def test_a_call_that_falls_back_further_than_the_one_before_it_returns_to_nothing() -> None:
    calls = [
        row("a", None, 0, hour=1000),
        row("b", "a", 10, read=1000, hour=500),
        row("c", "b", 20, read=1200, hour=500),
        row("d", "c", 30, read=1000, hour=800),
    ]

    assert recorded_steps(calls)[-1].returned_to is None
    assert told(*calls) == [("c", "history_changed"), ("d", "history_changed")]
