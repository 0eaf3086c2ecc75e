from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.finding import Edit, Fix, Place
from agentcache.lint.outputs.result import LintResult
from agentcache.lint.outputs.text import EXCERPT, as_text
from agentcache.visible import columns, visible
from tests.lint.findings import finding

PATH = "p/static.j2"
EDIT = Edit(path=PATH, start=0, end=0, text="")


def test_a_finding_with_its_line_a_caret_and_its_fix() -> None:
    found = finding(line=2, column=7, end_column=18, also=(Place(path=PATH, line=1),))
    result = LintResult(findings=(found,), texts={PATH: "# Help\nIt is {{ now() }}.\n"}, agents=1)

    assert as_text(result) == (
        "p/static.j2:2:7: PC001 error clock-in-prefix (certain): the time of day stands in the prefix\n"
        "  2 | It is {{ now() }}.\n"
        "    |       ^^^^^^^^^^^\n"
        "  see: p/static.j2:1\n"
        "  fix: put the time in the newest user turn, or freeze it per session\n"
        "\n"
        "1 prompt: 1 finding\n"
    )


def test_a_finding_of_a_whole_file_has_no_excerpt() -> None:
    text = as_text(LintResult(findings=(finding("PC048", line=None),), texts={PATH: "Short."}, agents=2))

    assert text.startswith("p/static.j2: PC048 warning below-minimum (certain): ")
    assert "|" not in text
    assert "2 prompts: 1 finding" in text


def test_nothing_found_is_said_with_what_was_left_out() -> None:
    assert as_text(LintResult(agents=3, ignored=1, known=2)) == (
        "3 prompts: nothing found (1 finding ignored by comments; 2 findings in the baseline)\n"
    )


def test_how_many_findings_each_kind_of_fix_mends() -> None:
    safe, unsafe = Fix(edits=(EDIT,), safe=True), Fix(edits=(EDIT,), safe=False)
    found = (finding(edits=safe), finding(line=2, edits=safe), finding(line=3, edits=unsafe))

    assert as_text(LintResult(findings=found, agents=1)).endswith(
        "1 prompt: 3 findings, 2 fixable with --fix, 1 with --unsafe-fixes\n"
    )


def test_what_could_drive_a_terminal_is_shown_by_its_number() -> None:
    line = "\x1b]0;owned\x07 {{ \u202ex\u200b }}\t|\x9b31m"
    found = finding(path="a\nb.j2", column=15, end_column=17, message="a \x1b[2J message")
    text = as_text(LintResult(findings=(found,), texts={"a\nb.j2": line}, agents=1))

    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert r"  1 | \x1b]0;owned\x07 {{ \u202ex\u200b }}    |\x9b31m" in text
    assert r"a\x0ab.j2:1:15" in text
    assert r"a \x1b[2J message" in text


def test_the_caret_stands_under_wide_and_escaped_characters() -> None:
    line = "\x1b 日本 {{ 時刻 }}."
    lines = as_text(LintResult(findings=(finding(column=6, end_column=14),), texts={PATH: line}, agents=1)).splitlines()

    source, caret = lines[1], lines[2]
    assert source == r"  1 | \x1b 日本 {{ 時刻 }}."
    assert caret.count("^") == columns("{{ 時刻 }}")
    assert columns(caret[: caret.index("^")]) == columns(source[: source.index("{{")])


def test_of_a_long_line_the_part_around_is_shown() -> None:
    line = "word " * 200 + "{{ now() }}" + " word" * 200
    start = line.index("{{") + 1
    source, caret = as_text(
        LintResult(findings=(finding(column=start, end_column=start + 11),), texts={PATH: line}, agents=1)
    ).splitlines()[1:3]

    assert len(source) < EXCERPT + 12
    assert source[caret.index("^") : caret.rindex("^") + 1] == "{{ now() }}"
    assert source.count("…") == 2


def test_colours_are_asked_for() -> None:
    result = LintResult(findings=(finding(column=1),), texts={PATH: "x"}, agents=1)

    assert "\x1b[31mPC001 error\x1b[0m" in as_text(result, colour=True)
    assert "\x1b" not in as_text(result)


def test_lines_are_counted_as_editors_count_them() -> None:
    text = as_text(LintResult(findings=(finding(line=2),), texts={PATH: "a\x0cb\u2028c\r\nsecond"}, agents=1))
    assert "  2 | second\n" in text


@given(st.text(), st.integers(1, 8), st.integers(1, 400), st.integers(1, 400))
def test_any_text_and_any_place_is_shown_without_anything_hidden(text: str, line: int, column: int, end: int) -> None:
    found = finding(line=line, column=column, end_column=end, message=text)
    shown = as_text(LintResult(findings=(found,), texts={PATH: text}, agents=1))

    assert all(character.isprintable() or character == "\n" for character in shown)


@given(st.text())
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert visible(visible(text)) == visible(text)
