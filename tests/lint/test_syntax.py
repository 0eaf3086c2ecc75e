"""Templates of other people's environments parse, or give one problem with its line; places are exact."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.codes import UNREADABLE
from agentcache.lint.linting import lint
from agentcache.lint.syntax import parse_file
from agentcache.prompt.sections import Stability


def parsed(text: str):
    return parse_file(SourceFile(path="t.j2", name="t.j2", text=text))


@pytest.mark.parametrize(
    "text",
    [
        "{% now 'utc', '%H:%M' %}",
        "{% cache 500 sidebar %}{{ x }}{% endcache %}",
        "{% weather 'Oslo' as w %}{{ w }}",
        "{% load static %}{% url 'home' id=3 %}",
        "{{ x|no_such_filter(1) }}{% if x is no_such_test %}y{% endif %}",
        "{% trans n=3 %}one{% pluralize %}{{ n }}{% endtrans %}",
        "{% for i in x %}{% continue %}{% endfor %}{% do x.append(1) %}",
        "{% generation %}{{ x }}{% endgeneration %}",
    ],
)
def test_what_only_another_environment_knows_parses(text):
    assert parsed(text).problem is None


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\n{% endif %}", 2), ("{{ a b }}", 1), ("a\nb\n{{ 'x }}", 3), ("{% if x %}\n", 1), ("{{ " + "(" * 3000, None)],
)
def test_what_does_not_parse_is_one_finding_with_its_line(text, line):
    file = LayerFile(path="static.j2", name="static.j2", text=text, layer=Stability.STATIC)
    (finding,) = lint([AgentSources(agent="a", layers=(file,))])
    assert (finding.code, finding.place.line) == (UNREADABLE, line)


def test_places_are_columns_of_the_file_as_an_editor_shows_it():
    template = parsed("Hi\r\n  {%- if x %}\r\n  {{ a.b|upper }}{% endif %}")
    (printed,) = template.tree.find_all(nodes.Filter)
    place = template.text_map.place("t.j2", printed)
    assert (place.line, place.column, place.end_column) == (3, 6, 15)
    assert template.text_map.words(printed) == "a.b|upper"


@settings(deadline=None)
@given(before=st.text("ab \n\r\t{}#%é", max_size=30), name=st.sampled_from(["now", "long_name", "x"]))
def test_a_place_holds_the_expression_that_it_is_of(before, name):
    text = f"{before}\n{{{{ {name} }}}}"
    template = parsed(text)
    found = [node for node in (template.tree.find_all(nodes.Name) if template.tree else ()) if node.name == name]
    for node in found:
        place = template.text_map.place("t.j2", node)
        line = template.text_map.text.split("\n")[place.line - 1]
        assert line[place.column - 1 :].startswith(name)


@settings(deadline=None)
@given(st.text("abx {}%#'\"()[].|~,=\n-+", max_size=60))
def test_no_text_makes_the_linter_fail(text):
    file = LayerFile(path="static.j2", name="static.j2", text=text, layer=Stability.STATIC)
    lint([AgentSources(agent="a", layers=(file,))])
