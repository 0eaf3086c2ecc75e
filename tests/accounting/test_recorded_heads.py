"""What sessions that know nothing of each other tell of the heads that they share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.accounting.recorded_heads import Heads, heads_behind, heads_of
from agentcache.accounting.recorded_lines import recorded_steps
from agentcache.accounting.shortfalls import shortfalls
from agentcache.accounting.usage import CallRecord
from tests.accounting.recorded import OPUS, STRIPPED, row


def session(name: str, *, head: int, answers: int, thinks: bool) -> list[CallRecord]:
    """Return a session that begins with a head and reads all that it left."""
    calls = [row(f"{name} 0", None, 0, read=head, hour=100, session=name, thinks=thinks)]
    for number in range(1, answers):
        read = head + 100 * number
        calls.append(row(f"{name} {number}", f"{name} {number - 1}", number, read=read, hour=100, session=name))
    return calls


def traffic(*, silent: int) -> list[CallRecord]:
    """Return two thinking sessions behind a head of 900, and two behind one of 880 with so many answers without."""
    calls = [call for name in "ab" for call in session(name, head=900, answers=3, thinks=True)]
    return calls + [call for name in "cd" for call in session(name, head=880, answers=silent // 2, thinks=False)]


def test_a_length_that_one_session_alone_found_is_no_head() -> None:
    alone = heads_of(recorded_steps(session("a", head=900, answers=3, thinks=True)))
    both = heads_of(recorded_steps(traffic(silent=4)))

    assert alone == {}
    assert both[OPUS].lengths == {880, 900}


def test_a_head_behind_which_many_answers_are_silent_goes_without_thinking_and_few_tell_nothing() -> None:
    # 2 of 606 answers think, so 600 silent ones in a row are as likely as (1 - 2 / 606) ** 600, which is 14 %
    rare = heads_of(recorded_steps(traffic(silent=600)))[OPUS]
    often = traffic(silent=60) + [
        row(f"more {number}", None, 5, read=900, hour=1, session=f"more {number}", thinks=True) for number in range(30)
    ]
    told = heads_of(recorded_steps(often))[OPUS]

    assert rare.without_thinking == frozenset()
    assert (told.without_thinking, told.with_thinking) == (frozenset({880}), frozenset({900}))
    assert told.differ_in_thinking(900, 880)
    assert told.differ_in_thinking(880, 900)
    assert not told.differ_in_thinking(880, 880)
    assert not told.differ_in_thinking(None, 880)


def test_a_session_that_leaves_the_silent_head_for_a_thinking_one_had_thinking_switched_on() -> None:
    others = traffic(silent=60) + [
        row(f"more {number}", None, 5, read=900, hour=1, session=f"more {number}", thinks=True) for number in range(30)
    ]
    asked = row("asked", "c 29", 100, read=900, hour=3000, session="c")

    (found,) = shortfalls([*others, asked])
    (without,) = shortfalls([*traffic(silent=6), row("asked", "c 2", 100, read=900, hour=3000, session="c")])

    assert (found.cause, found.lost_tokens) == ("thinking_changed", 880 + 30 * 100 - 900)
    assert without.cause == "messages_changed"


def test_a_call_keeps_the_head_of_the_one_that_it_carries_on_until_it_reads_another() -> None:
    calls = [
        *traffic(silent=4),
        row("a 3", "a 2", 10, read=880, hour=400, session="a"),
        row("a 4", "a 3", 11, read=1280, hour=40, session="a"),
        row("a 5", "a 4", 12, read=1000, hour=400, session="a"),
    ]
    steps = recorded_steps(calls)
    behind = heads_behind(steps, heads_of(steps))

    told = {step.call.call_id: behind[id(step)] for step in steps}
    assert [told[f"a {number}"] for number in range(6)] == [900, 900, 900, 880, 880, None]


@pytest.mark.parametrize(("silent", "off"), [(19, frozenset()), (20, frozenset({880}))])
def test_thinking_is_off_where_so_many_silent_answers_are_as_good_as_impossible(
    silent: int, off: frozenset[int]
) -> None:
    # Half of the answers think: 19 silent ones in a row are as likely as 0.5 ** 19, 20 of them less than a millionth.
    calls = [
        row(f"{head} {number}", None, number, read=head, hour=1, session=f"{head} {number}", thinks=head == 900)
        for head in (880, 900)
        for number in range(silent)
    ]

    assert heads_of(recorded_steps(calls))[OPUS].without_thinking == off


def test_rows_that_show_nothing_of_their_answers_tell_of_heads_all_the_same() -> None:
    calls = [row(name, None, at, read=900, hour=1, session=name, thinks=True) for at, name in enumerate("abc")]
    silent = [replace(call, plan={}) for call in calls]

    told = heads_of(recorded_steps([silent[0], *calls[1:]]))[OPUS]

    assert (told.lengths, told.with_thinking) == (frozenset({900}), frozenset({900}))
    assert heads_of(recorded_steps(silent))[OPUS] == Heads(lengths=frozenset({900}))


def test_models_that_do_not_choose_themselves_whether_to_think_have_heads_and_no_more() -> None:
    calls = [row(n, None, at, read=900, hour=1, session=n, thinks=True, model=STRIPPED) for at, n in enumerate("ab")]

    assert heads_of(recorded_steps(calls)) == {STRIPPED: Heads(lengths=frozenset({900}))}
