"""Reading tools with places: for any JSON, what is read is what is there, where it is there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.agent_sources import AgentSources, SourceFile
from agentcache.lint.json_places import JsonNode, TextLines, read_json
from agentcache.lint.linting import lint
from agentcache.lint.syntax import Problem
from agentcache.lint.tools_json import ToolsText, read_tools

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


def nodes(node: JsonNode):
    yield node
    for member in node.members:
        yield member.key
        yield from nodes(member.value)
    for item in node.items:
        yield from nodes(item)


@given(VALUES, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_any_json_is_read_as_json_reads_it_and_every_place_holds_what_it_names(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    node = read_json(text)
    assert isinstance(node, JsonNode)
    assert node.plain == value
    for part in nodes(node):
        assert json.loads(text[part.start : part.end]) == part.plain


@given(VALUES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_lines_and_columns_lead_back_to_the_text(value, end):
    text = json.dumps(value, indent=1).replace("\n", end)
    node, lines = read_json(text), TextLines("tools.json", text)
    assert isinstance(node, JsonNode)
    rows = text.split(end)
    for part in nodes(node):
        if part.kind not in {"object", "array"}:
            place = lines.place(part.start, part.end)
            assert place.line is not None
            assert place.column is not None
            assert place.end_column is not None
            assert rows[place.line - 1][place.column - 1 : place.end_column - 1] == text[part.start : part.end]


@given(st.text(st.sampled_from('{}[],:"\\abn1.-e {%#\n'), max_size=40))
def test_what_python_refuses_is_a_problem_unless_it_is_a_template(text):
    node = read_json(text)
    try:
        plain = json.loads(text)
    except ValueError:
        assert isinstance(node, Problem) or "{{" in text or "{%" in text or "{#" in text
    else:
        assert isinstance(node, JsonNode)
        assert node.plain == plain


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the end of the file"),
        ("[\n  {\n    'name': 1}]", 3, "a key in double quotes"),
        ('[{"name": "a"},\n]', 1, "between a comma and the closing ]"),
        ('[{"name": "a"\n "b": 1}]', 2, "a comma or }"),
        ("[" * 5_000, 1, "levels deep"),
        ('{"name": "a"}', 1, "a list of tool definitions"),
        ('[{"name": "a"},\n 7]', 2, "a tool definition is an object"),
        (f"[{'9' * 5_000}]", 1, "too long"),
    ],
)
def test_malformed_tools_are_one_finding_that_says_what_is_wrong_and_where(text, line, says):
    file = SourceFile(path="tools.json", name="tools.json", text=text)
    (finding,) = lint([AgentSources(agent="a", tools=file)])
    assert (finding.place.path, finding.place.line, finding.code) == ("tools.json", line, "PC000")
    assert says in finding.message


def test_a_rendered_file_of_tools_is_read_around_its_tags():
    text = (
        '[{% for t in more %}{"name": "a", "description": {{ t.text }}}{% if not loop.last %},{% endif %}{% endfor %}]'
    )
    tools = read_tools(SourceFile(path="tools.json", name="tools.json", text=text))
    assert isinstance(tools, ToolsText)
    assert [(words.role, words.text) for words in tools.tools[0].words] == [
        ("name", "a"),
        ("description", "{{ t.text }}"),
    ]


def test_names_of_properties_are_read_apart_from_words_of_the_schema():
    schema = {"properties": {"description": {"type": "string", "enum": ["a"], "description": "What it says."}}}
    text = json.dumps({"tools": [{"name": "n", "description": "Does it.", "input_schema": schema}]})
    tools = read_tools(SourceFile(path="tools.json", name="tools.json", text=text))
    assert isinstance(tools, ToolsText)
    assert [(words.role, words.text) for words in tools.tools[0].words] == [
        ("name", "n"),
        ("description", "Does it."),
        ("name", "description"),
        ("description", "What it says."),
    ]
    assert [(enum.property_name, enum.description) for enum in tools.tools[0].enums] == [
        ("description", "What it says.")
    ]
