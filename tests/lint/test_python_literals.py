"""String literals are read with the place of each character, whatever quotes and escapes they are written with."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.finding import Place
from agentcache.lint.located_text import LocatedText
from agentcache.lint.python.literals import PythonText, Shown
from agentcache.prompt.canonical import canonical_text


def literal(source: str) -> tuple[PythonText, ast.Constant | ast.JoinedStr]:
    """Return a file whose last statement assigns a literal, and that literal."""
    statement = ast.parse(source).body[-1]
    assert isinstance(statement, ast.Assign)
    assert isinstance(statement.value, ast.Constant | ast.JoinedStr)
    return PythonText(source, "app.py"), statement.value


def read(source: str) -> LocatedText:
    text, node = literal(source)
    whole = text.made_at(node, "")
    for piece in text.pieces(node):
        assert isinstance(piece, LocatedText)
        whole += piece
    return whole


def at(source: str, spot: tuple[int, int]) -> str:
    """Return what stands in a file at a spot."""
    return source.split("\n")[spot[0] - 1][spot[1] - 1 :]


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40)


@given(PLAIN)
def test_a_literal_comes_to_its_value(text: str):
    assert read(f"x = {text!r}\n").text == text
    assert read(f"x = {text!a}\n").text == text


@given(st.lists(st.sampled_from(["word", "é", " ", "\n", "{{ x }}", "'", '"', "\\n"]), max_size=12).map("".join))
def test_each_character_stands_where_it_is_written(text: str):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    source = f'y = 1\nx = """{quoted}"""\n'
    found = read(source)
    assert found.text == text
    for character, spot in zip(found.text, found.spots, strict=False):
        written = at(source, spot)
        assert written == "" if character == "\n" else written.startswith((character, f"\\{character}"))


def test_literals_side_by_side_are_one_text_with_many_places():
    source = 'x = (\n    "one "\n    r"two\\n"\n    \'three\'\n)\n'
    found = read(source)
    assert found.text == "one two\\nthree"
    assert [found.spots[found.text.index(word)] for word in ("one", "two", "three")] == [(2, 6), (3, 7), (4, 6)]


def test_an_escaped_line_end_is_on_the_line_where_it_is_written():
    found = read('x = "first\\nsecond"\n')
    assert found.place(Place(path=found.label, line=2, column=1)) == Place(path="app.py", line=1, column=13)


def test_an_f_string_is_text_and_what_is_shown():
    source = 'x = f"at {now():%H} {{kept}} {who[\'name\']!r}" "{plain}"\n'
    text, node = literal(source)
    pieces = [piece.expression.text if isinstance(piece, Shown) else piece.text for piece in text.pieces(node)]
    assert "".join(pieces) == "at now() {kept} who['name']{plain}"
    shown = [piece.expression for piece in text.pieces(node) if isinstance(piece, Shown)]
    assert [at(source, each.spots[0])[: len(each.text)] for each in shown] == ["now()", "who['name']"]


@pytest.mark.parametrize("comparison", ["a != b", "a == b", "a <= b", "f(x=1)", "d[':']", "{'k': 1}['k']"])
def test_signs_inside_an_expression_do_not_end_it(comparison: str):
    text, node = literal(f'x = f"{{ {comparison} }}"\n')
    shown = [piece.expression.text for piece in text.pieces(node) if isinstance(piece, Shown)]
    assert shown == [f" {comparison} "]


LINES = st.lists(st.sampled_from(["a", "  b", "    c {{ x }}", "", "  ", "\td", "e  "]), min_size=1, max_size=8)


@given(LINES)
def test_dedent_strip_and_cleandoc_do_what_they_do_and_keep_places(lines: list[str]):
    text = "\n".join(lines)
    source = f'x = """{text}"""\n'
    found = read(source)
    for made, expected in (
        (found.dedented(), textwrap.dedent(text)),
        (found.cleaned(), inspect.cleandoc(text)),
        (found.stripped("strip"), text.strip()),
        (found.stripped("lstrip"), text.lstrip()),
        (found.stripped("rstrip"), text.rstrip()),
    ):
        assert made.text == expected
        assert len(made.spots) == len(made.text) + 1
        for character, spot in zip(made.text, made.spots, strict=False):
            assert character.isspace() or at(source, spot).startswith(character)


@given(st.text(st.sampled_from("a \n\r\té́e"), max_size=30))
def test_tidied_text_is_what_is_sent_line_for_line(text: str):
    tidied = LocatedText.of_file("a.j2", text).tidied()
    assert canonical_text(tidied.text) == canonical_text(text)
    assert all(line == line.rstrip() for line in tidied.text.split("\n"))
    assert len(tidied.spots) == len(tidied.text) + 1
