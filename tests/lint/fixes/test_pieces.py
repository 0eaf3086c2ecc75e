"""Templates cut at their delimiters, every character kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.fixes.pieces import PieceKind, block_words, expression_tokens, opens_block, pieces_of

FRAGMENTS = [
    *("word", " ", "\n", "\r\n", "{{ name }}", "{{- 'a }} b' -}}", '{{ {"a": {}} }}', "{# note }} #}", "{", "}"),
    *("{% if x %}", "{% endif %}", "{% set y = '%}' %}", "{% raw %}{{ kept }}{% endraw %}", "ü", "\u200b"),
]


@given(st.lists(st.sampled_from(FRAGMENTS)).map("".join))
def test_the_pieces_of_a_template_are_the_template(template: str) -> None:
    pieces = pieces_of(template)

    assert pieces is None or "".join(template[piece.start : piece.end] for piece in pieces) == template


def test_a_delimiter_in_a_string_or_between_brackets_closes_nothing() -> None:
    template = """{{ "}}" ~ {"a": {"b": 1}}["a"] }}tail"""

    pieces = pieces_of(template)

    assert pieces is not None
    assert [piece.kind for piece in pieces] == [PieceKind.PRINT, PieceKind.TEXT]


def test_what_stands_in_a_raw_block_is_no_code() -> None:
    pieces = pieces_of("{% raw %}{{ name }} {% if %}{% endraw %}")

    assert pieces is not None
    assert [piece.kind for piece in pieces] == [PieceKind.RAW]


def test_a_delimiter_that_is_never_closed_leaves_no_pieces() -> None:
    assert pieces_of("Hello {{ name") is None


def test_marks_for_white_space_are_seen_on_both_sides() -> None:
    pieces = pieces_of("a {%- if x -%} b")

    assert pieces is not None
    assert (pieces[1].strips_before, pieces[1].strips_behind, pieces[1].word) == (True, True, "if")


def test_a_set_with_a_value_opens_no_block_and_one_without_does() -> None:
    template = "{% set a = 1 %}{% set b %}text{% endset %}"
    pieces = pieces_of(template)
    assert pieces is not None

    opening = [opens_block(template, piece, block_words(pieces)) for piece in pieces if piece.word == "set"]

    assert opening == [False, True]


def test_tokens_know_how_deep_in_brackets_they_stand() -> None:
    tokens = list(expression_tokens("a(b)|c"))

    assert tokens == [(0, "a", 0), (1, "(", 0), (2, "b", 1), (3, ")", 0), (4, "|", 0), (5, "c", 0)]
