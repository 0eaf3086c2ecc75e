"""Which earlier call each call of a log comes after: by names where the log has them, else by what is repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.accounting.explaining.earlier_calls import EarlierCalls
from agentcache.accounting.explaining.lines_of_descent import Descent, descent_of, head_likeness, is_summary_of
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.prompt.canonical import JsonObject, JsonValue
from tests.accounting.explaining.small_logs import calls_of
from tests.accounting.test_explanation import RULES, TOOLS, TURNS, assistant, request, user

OTHER_RULES = "\n".join(f"{number}. Routes are planned by {number} drivers at dawn." for number in range(120))


def call(
    index: int, messages: list[JsonObject], *, conversation: str = "", agent: str = "", **more: JsonValue
) -> LoggedCall:
    made = calls_of([request(messages, **more)], first_index=index, starts_s=20.0 * index)[0]
    return replace(made, conversation=conversation or None, agent=agent or None)


def after(now: LoggedCall, *earlier: LoggedCall) -> tuple[int, str] | None:
    """Return which call `now` comes after, and how."""
    found = descent(now, *earlier)
    return None if found is None else (found.parent.index, found.relation)


def descent(now: LoggedCall, *earlier: LoggedCall) -> Descent | None:
    known = EarlierCalls()
    for each in earlier:
        known.add(each)
    return descent_of(now, known)


FIRST = call(0, TURNS[:1])
STOCK = [user("What is in stock?"), assistant("Boots."), user("Which sizes?")]


def test_the_first_of_its_kind_comes_after_nothing() -> None:
    stranger = call(1, STOCK[:1], system=OTHER_RULES, tools=[])

    assert after(FIRST) is None
    assert after(stranger, FIRST) is None


def test_a_conversation_that_grew_comes_after_its_last_call() -> None:
    found = descent(call(3, TURNS[:5]), FIRST, call(1, TURNS[:3]), call(2, STOCK[:1]))

    assert found is not None
    assert (found.parent.index, found.relation, found.common) == (1, "continues", len(TOOLS) + 1 + 4)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({}, (1, "continues")),
        ({"conversation": "a"}, (1, "continues")),
        ({"conversation": "b"}, (1, "sibling")),
        ({"agent": "clerk"}, (1, "continues")),
        ({"agent": "editor"}, None),
    ],
)
def test_names_rule_out_what_they_contradict(named: dict[str, str], told: tuple[int, str] | None) -> None:
    before = call(1, TURNS[:3], conversation="a", agent="clerk")

    assert after(call(2, TURNS[:5], **named), before) == told


def test_of_two_conversations_that_begin_alike_the_one_that_shares_more_is_carried_on() -> None:
    one = call(1, [*TURNS[:4], user("Who carries it?")])
    other = call(2, [*TURNS[:2], user("Never mind.")])

    assert after(call(3, [*TURNS[:4], user("Who carries it?"), assistant("Ann."), user("And?")]), one, other) == (
        1,
        "continues",
    )
    assert after(call(3, [*TURNS[:4], user("When?")]), one, other) == (1, "continues")


def test_a_head_that_two_conversations_share_makes_them_siblings() -> None:
    found = descent(call(2, STOCK[:1]), FIRST, call(1, TURNS[:3]))

    assert found is not None
    assert (found.parent.index, found.relation, found.common) == (1, "sibling", len(TOOLS) + 1)
    assert after(call(2, STOCK[:1], model="claude-sonnet-5"), FIRST) is None
    assert after(call(2, STOCK[:1], system=OTHER_RULES, tools=[]), FIRST) is None


def test_a_question_that_is_asked_again_begins_another_conversation_unless_it_goes_on() -> None:
    asked_again = call(1, TURNS[:1], system=OTHER_RULES, tools=[])
    gone_on = call(1, TURNS[:3], system=RULES + "\n- One more rule.")

    assert after(asked_again, FIRST) is None
    assert after(gone_on, FIRST) == (0, "continues")
    assert after(call(1, TURNS[:3], model="claude-sonnet-5"), FIRST) == (0, "continues")
    assert after(call(1, TURNS[:3], model="claude-sonnet-5", system=RULES + "\n- More."), FIRST) is None


def test_a_stock_reply_joins_no_two_conversations() -> None:
    one = call(0, [user("Where is order 7?"), assistant("Let me look."), user("Well?")], system=OTHER_RULES, tools=[])
    other = call(1, [user("Who sold most?"), assistant("Let me look."), user("And?")])

    assert after(other, one) is None


def test_an_opening_that_is_rendered_anew_is_carried_on() -> None:
    opening = "Time: 10:21. Where is my order with the blue boots and the map of Leeds?"
    before = call(0, [user(opening)])
    rest = [assistant("On its way."), user("When?")]

    assert after(call(1, [user(opening.replace("10:21", "10:35")), *rest]), before) == (0, "continues")
    assert after(call(1, [user(f"Context.\n{opening}"), *rest]), before) == (0, "continues")
    assert after(call(1, [user("Which shops are open on Sundays in winter?"), *rest]), before) == (0, "sibling")
    assert after(call(1, [user(opening.replace("10:21", "10:35"))]), before) == (0, "sibling"), "it has not grown"


def test_a_warm_up_is_carried_on_by_the_call_that_it_was_for() -> None:
    warm = call(0, TURNS[:1], max_tokens=0)

    assert after(FIRST, warm) == (0, "continues")


SUMMARY = "Summary so far: order 7 is with the carrier."


@pytest.mark.parametrize(
    ("opening", "told"),
    [
        (SUMMARY, True),
        ("This is a recap of our conversation.", True),
        ("You said: The parcel is with the carrier, and will be scanned again tonight, we think.", True),
        ("The parcel is with the carrier.", False),
        ("", False),
    ],
)
def test_a_shorter_history_that_opens_with_what_was_said_or_calls_itself_so_is_a_summary(
    opening: str, told: bool
) -> None:
    said = "The parcel is with the carrier, and will be scanned again tonight, we think."
    before = call(0, [TURNS[0], assistant(said), user("When?"), assistant("On Friday."), user("Thanks.")])
    summed = call(1, [user(opening), *TURNS[3:5]])

    assert is_summary_of(summed, before) is told


def test_what_is_no_summary_of_another_call() -> None:
    before = call(0, TURNS[:5], conversation="a")
    summed = call(1, [user(SUMMARY)])

    assert is_summary_of(summed, before)
    assert is_summary_of(summed, replace(before, reply=SUMMARY))
    assert not is_summary_of(replace(summed, conversation="b"), before), "another conversation"
    assert not is_summary_of(call(1, [user(SUMMARY), *TURNS[1:5]]), before), "it is as long"
    assert not is_summary_of(summed, call(0, TURNS[:1])), "there was nothing to sum up"
    assert not is_summary_of(call(1, [user(SUMMARY)], system=OTHER_RULES, tools=[]), before), "another head"
    already = call(0, [user(SUMMARY), *TURNS[1:5]])
    assert not is_summary_of(call(1, [user("Summary so far: nothing.")]), already), "it was one before"


def test_a_summary_in_the_place_of_the_history_carries_its_call_on() -> None:
    before, later = call(0, TURNS[:5]), call(1, TURNS)

    assert after(call(2, [user(SUMMARY)]), before, later) == (1, "continues")


def test_heads_are_alike_by_their_system_prompts_and_a_little_by_their_tools() -> None:
    whole = call(0, TURNS[:1])

    assert head_likeness(whole, call(1, STOCK[:1])) == 1
    assert head_likeness(whole, call(1, STOCK[:1], tools=TOOLS[:1])) == 1, "the system prompt is the same"
    assert head_likeness(whole, call(1, STOCK[:1], system=OTHER_RULES)) == pytest.approx(0.3)
    assert head_likeness(whole, call(1, STOCK[:1], system=OTHER_RULES, tools=TOOLS[:2])) == pytest.approx(0.15)
    assert head_likeness(whole, call(1, STOCK[:1], system=OTHER_RULES, tools=[])) == 0
    bare = [call(0, TURNS[:1], system=[], tools=tools) for tools in (TOOLS, TOOLS[:3], [])]
    assert [head_likeness(bare[0], each) for each in bare] == [1, 0.75, 0]
    half = [call(0, TURNS[:1], system=words, tools=[]) for words in ("a b c d", "a b c e", "a b", "b a")]
    assert [head_likeness(half[0], each) for each in half] == [1, 0.5, 0, 0]
    assert head_likeness(half[2], half[3]) == 1, "too short for runs of words"
