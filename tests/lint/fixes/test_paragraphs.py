"""What counts as a paragraph that can be moved."""

from __future__ import annotations

from agentcache.lint.fixes.paragraphs import Paragraph, paragraphs_of


def cut(template: str) -> list[Paragraph]:
    paragraphs = paragraphs_of(template)
    assert paragraphs is not None
    return list(paragraphs)


def test_blank_lines_part_paragraphs_and_belong_to_none() -> None:
    found = cut("one\ntwo\n\n\nthree")

    assert [(each.first, each.last, each.text) for each in found] == [(1, 2, "one\ntwo\n"), (5, 5, "three")]


def test_a_blank_line_inside_a_block_parts_nothing() -> None:
    found = cut("{% if x %}\none\n\ntwo\n{% endif %}\n\nthree\n")

    assert [(each.first, each.last) for each in found] == [(1, 5), (7, 7)]


def test_a_blank_line_inside_a_fence_of_code_parts_nothing() -> None:
    found = cut("```python\na = 1\n\nb = 2\n```\n\nthree\n")

    assert [(each.first, each.last) for each in found] == [(1, 5), (7, 7)]


def test_behind_a_fence_that_is_never_closed_nothing_stands_by_itself() -> None:
    found = cut("one\n\n```\ncode\n\nmore\n")

    assert [each.within for each in found] == [False, True]


def test_a_paragraph_inside_an_element_does_not_stand_by_itself() -> None:
    found = cut("<rules>\n\nbe kind\n\n</rules>\n\n<user>\n{{ name }}\n</user>\n")

    assert [each.within for each in found] == [True, True, True, False]


def test_white_space_control_across_an_edge_glues_a_paragraph_to_its_neighbour() -> None:
    found = cut("one\n\n{%- if x %}two{% endif %}\n\nthree\n")

    assert [each.glued for each in found] == [True, True, False]


def test_a_heading_alone_knows_its_level() -> None:
    found = cut("## Style\n\ntext\n\n# Part\nwith text\n")

    assert [each.heading for each in found] == [2, 0, 0]


def test_tags_that_do_not_close_leave_no_paragraphs() -> None:
    assert paragraphs_of("{% if x %}one{% endfor %}{% endif %}") is None
