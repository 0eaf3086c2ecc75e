"""Where two texts part, what stands around it, how it is shown, and what a value is by the numbers that it takes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agentcache.accounting.explaining.text_changes import EXCERPT_CHARACTERS, MOST_WORDS, excerpt, text_change
from agentcache.accounting.explaining.value_series import value_cause


def test_a_change_is_grown_to_whole_words_and_stands_on_its_lines() -> None:
    change = text_change("Rules\nNow: 10:21 here\nBe kind.", "Rules\nNow: 10:35 here\nBe kind.")

    assert (change.before, change.after) == ("10:21", "10:35")
    assert (change.lines_before, change.lines_after) == ("Now: 10:21 here", "Now: 10:35 here")
    assert change.around == "\nNow: 10:21 here\nNow: 10:35 here"
    assert change.setting == " Now: here Now: here"


@pytest.mark.parametrize(
    ("before", "after", "was", "became"),
    [
        ("one two", "one two three", "two", "two three"),
        ("two three", "one two three", "two", "one two"),
        ("one two three", "one three", "two three", "three"),
        ("", "one", "", "one"),
        ("one", "two", "one", "two"),
        ("a1 b", "a2 b", "a1", "a2"),
    ],
)
def test_what_was_added_or_taken_out_is_a_change_too(before: str, after: str, was: str, became: str) -> None:
    change = text_change(before, after)

    assert (change.before, change.after) == (was, became)


def test_a_change_over_several_lines_has_all_of_them() -> None:
    change = text_change("a\nb one\nc\nd two\ne", "a\nb three\nc\nd four\ne")

    assert (change.lines_before, change.lines_after) == ("b one\nc\nd two", "b three\nc\nd four")
    assert change.pieces == [("one", "three"), ("two", "four")]


def test_a_long_change_is_one_piece() -> None:
    words = " ".join(str(number) for number in range(MOST_WORDS - 1))

    assert text_change(f"a {words} b", f"c {words} d").pieces == ((f"a {words} b", f"c {words} d"),)
    assert text_change(f"a {words}", f"c {words}").pieces == [("a", "c")]
    short = words.partition(" ")[2]
    assert text_change(f"a {short} b", f"c {short} d").pieces == [("a", "c"), ("b", "d")]


def test_a_name_in_one_word_with_its_value_belongs_to_the_setting() -> None:
    assert text_change("see host=a1 now", "see host=b2 now").setting == " see now see now host"
    assert text_change("see host=a1 now", "see name=b2 now").setting == " see now see now"


@pytest.mark.parametrize(
    ("above", "heading"),
    [
        ("# Facts\n", "# Facts"),
        ("<facts>\n", "<facts>"),
        ("**Facts**\n", "**Facts**"),
        ("[Facts]\n", "[Facts]"),
        ("Facts:\n", "Facts:"),
        ("# Facts\nother\nlines\n", "# Facts"),
        ("# Facts\n\nother\n", "# Facts"),
        ("Facts:\n\nother\n", ""),
        ("<facts>\nx\n</facts>\n", ""),
        ("# Facts\n" + "line\n" * 7, "# Facts"),
        ("# Facts\n" + "line\n" * 8, ""),
        ("plain words\n", ""),
        ("", ""),
    ],
)
def test_the_heading_is_what_opens_the_section_of_the_line(above: str, heading: str) -> None:
    assert text_change(f"{above}open 3 doors", f"{above}open 7 doors").heading == heading


def test_a_label_opens_the_list_under_it_behind_an_empty_line_too() -> None:
    change = text_change("Facts:\n\n- one\n- open 3 doors", "Facts:\n\n- one\n- open 7 doors")

    assert change.heading == "Facts:"


def test_an_excerpt_is_one_line_and_shortened_in_the_middle() -> None:
    assert excerpt("one\ntwo") == "one\\ntwo"
    assert excerpt("caf\u00e9") == "caf\\xe9"
    assert excerpt("a" * EXCERPT_CHARACTERS) == "a" * EXCERPT_CHARACTERS
    assert excerpt("a" * 50 + "b" * 50) == "a" * 40 + " \u2026 " + "b" * 40


@pytest.mark.parametrize(
    ("values", "code", "cause"),
    [
        (["3", "7", "11"], "PC018", "PC008"),
        (["3", "7", "11"], "PC009", "PC008"),
        (["3", "4", "11"], "PC018", "PC008"),
        (["11", "4", "3"], "PC018", "PC008"),
        (["3", "4", "11"], "PC009", "PC009"),
        (["3", "70", "11"], "PC018", "PC009"),
        (["3", "7"], "PC018", "PC009"),
        (["3", "3", "3"], "PC009", "PC008"),
        (["0.1", "0.2", "0.3"], "PC009", "PC008"),
        (["-1", "-2", "-3"], "PC009", "PC008"),
        (["1,000", "2,000", "3,000"], "PC009", "PC008"),
        (["1 of 4", "2 of 4", "3 of 4"], "PC018", "PC009"),
        (["one 1", "two 2", "three 3"], "PC018", "PC009"),
        (["1", "none", "3"], "PC018", "PC009"),
    ],
)
def test_equal_steps_are_a_counters_and_what_wanders_is_data(values: list[str], code: str, cause: str) -> None:
    assert value_cause(list(pairwise(values)), code) == cause
