"""Forms of text, copies, stamps, locales, and the order of tools."""

from __future__ import annotations

import json

import pytest

from agentcache.lint.finding import Place
from tests.lint.fixes.mending import agent, at, mend


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("one  \ntwo\t\n", "one\ntwo\n"),
        ("one\r\ntwo\n", "one\ntwo\n"),
        ("zero\u200bwidth\n", "zerowidth\n"),
        ("Cafe\u0301\n", "Caf\u00e9\n"),
        ("one {{ x }} \n", "one {{ x }}\n"),
        ("{{ '  ' }}  \n", "{{ '  ' }}\n"),
    ],
)
def test_text_is_brought_to_one_form(written: str, mended: str) -> None:
    assert mend(at("PC014", 1), agent({"static": written}, {"static": {"x": 1}})) == {"static.j2": mended}


def test_blanks_that_hold_two_lines_apart_behind_a_tag_stay() -> None:
    static = "Ends{% if x %} well{% endif %}  \nand goes on.\n"

    assert mend(at("PC014", 1), agent({"static": static}, {"static": {"x": 1}})) == {}


def test_one_kind_of_line_end_is_no_variance() -> None:
    assert mend(at("PC014", 1), agent({"static": "one \r\ntwo\r\n"})) == {"static.j2": "one\r\ntwo\r\n"}


def test_of_two_copies_the_less_stable_one_goes_on_demand() -> None:
    copy = "## Rules\nAsk first.\n"
    sources = agent({"static": f"Be kind.\n\n{copy}", "session": f"Now.\n\n{copy}\nEnd.\n"})
    finding = at("PC056", 3, "static.j2", also=(Place(path="prompts/agent/session.j2", line=3),))

    assert mend(finding, sources) == {}
    assert mend(finding, sources, unsafe=True) == {"session.j2": "Now.\n\nEnd.\n"}


def test_a_stamp_goes_with_its_line_on_demand() -> None:
    sources = agent({"static": "Generated on 2026-11-19 08:12:44\n\nBe kind.\n"})

    assert mend(at("PC059", 1), sources) == {}
    assert mend(at("PC059", 1), sources, unsafe=True) == {"static.j2": "Be kind.\n"}


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ('{{ price|format_currency("GBP") }}', '{{ price|format_currency("GBP", locale="en_US") }}'),
        ("{{ price|format_decimal }}", '{{ price|format_decimal(locale="en_US") }}'),
        ("{{ price|format_decimal() }}", '{{ price|format_decimal(locale="en_US") }}'),
        ('{{ day.strftime("%x") }}', '{{ day.strftime("%Y-%m-%d") }}'),
    ],
)
def test_a_locale_is_fixed_on_demand(written: str, mended: str) -> None:
    sources = agent({"static": written}, {"static": {"price": 1, "day": "2026-01-01"}})

    assert mend(at("PC015", 1), sources) == {}
    assert mend(at("PC015", 1), sources, unsafe=True) == {"static.j2": mended}


TOOL_A = '{"name": "alpha", "description": "First."}'
TOOL_B = '{"name": "beta",\n  "description": "Second."}'


def other_file(name: str) -> tuple[Place, ...]:
    return (Place(path=f"prompts/{name}/tools.json", line=1),)


def test_tools_are_ordered_by_name_as_they_are_written() -> None:
    mine = agent({}, tools=f"[\n{TOOL_B},\n{TOOL_A}\n]")
    other = agent({}, tools=f"[{TOOL_A}, {TOOL_B}]", name="other")

    after = mend(at("PC019", 1, "tools.json", also=other_file("other")), mine, other)

    assert after == {"tools.json": f"[\n{TOOL_A},\n{TOOL_B}\n]"}


def test_a_marker_does_not_move_with_its_tool() -> None:
    marked = TOOL_A.replace("}", ', "cache_control": {"type": "ephemeral"}}')
    mine, other = agent({}, tools=f"[{TOOL_B}, {marked}]"), agent({}, tools="[]", name="other")

    assert mend(at("PC019", 1, "tools.json", also=other_file("other")), mine, other) == {}


def test_keys_are_ordered_in_every_file_that_should_be_alike() -> None:
    mine = agent({}, tools='[{"name": "a", "input_schema": {"type": "object", "properties": {}}}]')
    other = agent({}, tools='[{"input_schema": {"properties": {}, "type": "object"}, "name": "a"}]', name="other")

    after = mend(at("PC021", 1, "tools.json", also=other_file("other")), mine, other)

    assert after == {"tools.json": '[{"input_schema": {"properties": {}, "type": "object"}, "name": "a"}]'}


def test_values_are_ordered_where_nothing_else_differs() -> None:
    def tools(values: list[str]) -> str:
        return json.dumps([{"name": "a", "input_schema": {"properties": {"unit": {"enum": values}}}}])

    mine, other = agent({}, tools=tools(["k", "c"])), agent({}, tools=tools(["c", "k"]), name="other")
    third = agent({}, tools=tools(["c", "f"]), name="other")
    finding = at("PC023", 1, "tools.json", also=other_file("other"))

    assert mend(finding, mine, other) == {"tools.json": tools(["c", "k"])}
    assert mend(finding, mine, third) == {}
