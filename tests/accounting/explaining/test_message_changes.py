"""What became of a history: each kind of edit by its code, its place and what it was; growth and rewinds are none."""

from __future__ import annotations

import pytest

from agentcache.accounting.explaining.message_changes import message_change
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.prompt.canonical import JsonObject, JsonValue
from tests.accounting.explaining.small_logs import calls_of
from tests.accounting.test_explanation import (
    LONG,
    THOUGHT,
    TURNS,
    assistant,
    find,
    picture,
    request,
    result,
    user,
)

REPLY = "The parcel left Leeds on Monday and will be with you on Friday, weather permitting."


def change(before: list[JsonObject], after: list[JsonObject]) -> Suspect | None:
    calls = calls_of([request(before), request(after)])
    return message_change(*calls)


def document(**more: JsonValue) -> JsonObject:
    return {"type": "document", "source": {"type": "text", "data": "Terms."}, **more}


@pytest.mark.parametrize(
    ("code", "was", "became"),
    [
        ("PC029", REPLY, REPLY + "\n"),
        ("PC029", REPLY, REPLY.replace("weather permitting", "if the weather holds")),
        ("PC029", REPLY, REPLY[:70]),
        ("PC025", REPLY, REPLY[:50]),
        ("PC025", REPLY, "I could not find any parcel under that number, sorry about it."),
        ("PC029", "Yes.", REPLY + " Yes. And more."),
    ],
    ids=["bytes", "a few words", "most of it", "cut", "another", "grown"],
)
def test_a_reply_that_is_sent_back_otherwise_is_a_bad_replay_and_one_that_is_rewritten_an_edit(
    code: str, was: str, became: str
) -> None:
    before = [*TURNS[:3], assistant(was), TURNS[4]]
    found = change(before, [*TURNS[:3], assistant(became), *TURNS[4:7]])

    assert found is not None
    assert (found.code, found.where, found.cause) == (code, "messages[3].content[0]", "messages_changed")


def test_an_edit_is_told_with_what_it_was_and_became() -> None:
    found = change(TURNS[:5], [*TURNS[:2], user(result("[cleared]")), *TURNS[3:7]])

    assert found is not None
    assert (found.code, found.where) == ("PC025", "messages[2].content[0]")
    assert "parcel" in found.before
    assert "[cleared]" in found.after


@pytest.mark.parametrize(
    ("code", "was", "became"),
    [
        ("PC029", "Sent at 10:21:07, all well.", "Sent at 10:22:09, all well."),
        ("PC025", "Sent at 10:21:07, all well.", "Sent at 10:22:09, all well. " + LONG),
        ("PC029", LONG, LONG.rstrip()),
        ("PC025", LONG, LONG[:200]),
    ],
    ids=["a stamp", "a stamp and more", "bytes", "cut"],
)
def test_a_result_that_changed_by_a_stamp_is_a_bad_replay(code: str, was: str, became: str) -> None:
    found = change([*TURNS[:2], user(result(was))], [*TURNS[:2], user(result(became)), *TURNS[3:5]])

    assert found is not None
    assert found.code == code


def test_a_result_of_another_call_is_a_bad_replay() -> None:
    other: JsonObject = {**result(LONG), "tool_use_id": "t2"}

    found = change([*TURNS[:2], user(result(LONG))], [*TURNS[:2], user(other), *TURNS[3:5]])

    assert found is not None
    assert found.code == "PC029"


@pytest.mark.parametrize(
    ("code", "was", "became"),
    [
        ("PC030", [THOUGHT, find(a="7")], [find(a="7")]),
        ("PC030", [{"type": "redacted_thinking", "data": "x"}, find(a="7")], [find(a="7")]),
        ("PC028", [find(a="7", b=1)], [find(b=1, a="7")]),
        ("PC029", [find(a="7")], [find(a="8")]),
    ],
)
def test_blocks_of_a_reply_tell_their_causes_by_their_kinds(
    code: str, was: list[JsonValue], became: list[JsonValue]
) -> None:
    found = change([TURNS[0], assistant(*was), TURNS[2]], [TURNS[0], assistant(*became), *TURNS[2:5]])

    assert found is not None
    assert (found.code, found.where) == (code, "messages[1].content[0]")


@pytest.mark.parametrize(
    ("code", "was", "became"),
    [
        ("PC033", picture("aa"), "No picture."),
        ("PC033", "No picture.", picture("aa")),
        ("PC034", picture("aa"), picture("bb")),
        ("PC041", document(), document(citations={"enabled": True})),
        ("PC025", document(), document(title="Terms")),
    ],
)
def test_pictures_and_citations_are_told_by_what_became_of_them(code: str, was: JsonValue, became: JsonValue) -> None:
    found = change([user("Look:", was, "What is it?")], [user("Look:", became, "What is it?"), *TURNS[3:5]])

    assert found is not None
    assert (found.code, found.where) == (code, "messages[0].content[1]")


REMINDER = "<reminder>Be brief.</reminder>"


def test_a_note_that_was_taken_out_again_is_told_where_it_stood() -> None:
    block = change([user("Go on.", REMINDER)], [user("Go on."), *TURNS[3:5]])
    part = change([*TURNS[:4], user(f"Go on.\n{REMINDER}")], [*TURNS[:4], user("Go on."), *TURNS[3:5]])
    earlier = change(
        [user(f"Go on.\n{REMINDER}"), *TURNS[3:5]],
        [user("Go on."), *TURNS[3:7]],
    )

    assert block == Suspect("PC032", "messages[0].content[1]", "messages_changed", REMINDER, "")
    assert part is not None
    assert (part.code, part.where) == ("PC032", "messages[4].content[0]")
    assert earlier is not None
    assert earlier.code == "PC032"


def test_a_passage_that_was_cut_from_an_earlier_turn_and_is_no_note_is_an_edit() -> None:
    found = change(
        [*TURNS[:4], user("Go on. The shop closes at six on Mondays."), *TURNS[3:5]],
        [*TURNS[:4], user("Go on."), *TURNS[3:7]],
    )

    assert found is not None
    assert found.code == "PC025"


@pytest.mark.parametrize(
    ("code", "was", "became"),
    [
        ("PC035", "<env>3 files</env>", "<env>4 files</env>"),
        ("PC035", "# State\nopen", "# State\nclosed"),
        ("PC035", "Now: 10:21", "Now: 10:35"),
        ("PC025", "We sell boots and maps.", "You lent me an umbrella once, remember?"),
    ],
)
def test_an_opening_whose_context_is_rendered_anew_is_told(code: str, was: str, became: str) -> None:
    found = change([user("Go.", was, "Well?")], [user("Go.", became, "Well?"), *TURNS[3:5]])

    assert found is not None
    assert (found.code, found.where) == (code, "messages[0].content[1]")


def test_turns_that_fell_out_in_front_are_a_window_that_slid() -> None:
    slid = change(TURNS[:5], TURNS[2:])

    assert slid is not None
    assert (slid.code, slid.where) == ("PC026", "messages[0].content[0]")
    assert change(TURNS[:5], [TURNS[0], *TURNS[3:7]]) is not None
    one = change([user("a"), user("b"), user("c")], [user("b"), user("c"), user("d")])
    assert one is not None
    assert one.code == "PC026"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TURNS[:5], TURNS[:7]),
        (TURNS[:5], [*TURNS[:4], user("Who carries it?")]),
        (TURNS[:3], [*TURNS[:2], user(result(LONG), "And by whom?")]),
        (TURNS, TURNS[:3]),
        (TURNS[:3], [*TURNS[:2], user({**result("Nothing."), "tool_use_id": "t2"}), *TURNS[3:5]]),
        ([*TURNS[:4], user("When?")], [*TURNS[:4], assistant("When?"), user("On Friday.")]),
        ([TURNS[0], assistant(find(a="7"))], [TURNS[0], assistant(find(a="8")), *TURNS[2:5]]),
        ([TURNS[0], assistant(find(a="7"))], [TURNS[0], assistant({**find(a="7"), "name": "open"}), *TURNS[2:5]]),
    ],
    ids=["growth", "another question", "more of a turn", "rewind", "another result", "another role", "input", "name"],
)
def test_growth_rewinds_and_forks_are_no_edits(before: list[JsonObject], after: list[JsonObject]) -> None:
    assert change(before, after) is None
