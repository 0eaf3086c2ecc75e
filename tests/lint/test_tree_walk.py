"""Walking syntax trees, and expressions that are compiled late."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import nodes

from agentcache.lint.agent_sources import SourceFile
from agentcache.lint.late_patterns import LatePattern
from agentcache.lint.syntax import parse_file
from agentcache.lint.tree_walk import all_below, children

TEMPLATE = """{% extends base %}{% from 'm.j2' import a, b as c %}
{% macro rule(n, text='x') %}{{ n if n > 1 else text|upper }}{% endmacro %}
{% block body scoped %}{% for k, v in rows|dictsort if v is defined %}{{ loop.index }}{{ k ~ v[1:2] }}{% endfor %}
{% set ns.x = {'a': [1, 2], 'b': (3, now())} %}{% trans n=2 %}Hello {{ n }}{% endtrans %}{% weather "Oslo" %}
{% call(x) rule(1, *y, **z) %}{{ x }}{% endcall %}{% filter trim %}{% include ['a', b] %}{% endfilter %}{% endblock %}
"""


def test_the_walk_gives_what_jinjas_own_gives_in_the_same_order() -> None:
    tree = parse_file(SourceFile(path="t.j2", name="t.j2", text=TEMPLATE)).tree
    assert tree is not None

    assert list(all_below(tree, nodes.Node)) == list(tree.find_all(nodes.Node))
    assert list(all_below(tree, (nodes.Name, nodes.Call))) == list(tree.find_all((nodes.Name, nodes.Call)))
    assert all(children(node) == list(node.iter_child_nodes()) for node in tree.find_all(nodes.Node))


def test_blocks_and_the_parent_are_found_in_the_tree() -> None:
    parsed = parse_file(SourceFile(path="t.j2", name="t.j2", text=TEMPLATE))

    assert [block.name for block in parsed.blocks] == ["body"]
    assert parsed.extends is not None


def test_a_template_that_many_agents_include_is_parsed_once() -> None:
    one, other = (SourceFile(path="shared/v.j2", name="shared/v.j2", text="Hello {{ name }}") for _ in range(2))

    assert parse_file(one) is parse_file(other)


def test_a_wrong_expression_is_told_when_it_is_first_asked() -> None:
    pattern = LatePattern("(")

    with pytest.raises(re.error):
        pattern.search("text")


def test_a_late_expression_finds_what_the_compiled_one_finds() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    late, compiled = LatePattern(r"\bnodes\.\w+", re.IGNORECASE), re.compile(r"\bnodes\.\w+", re.IGNORECASE)

    assert late.findall(text) == compiled.findall(text)
    assert late.split(text) == compiled.split(text)
    assert [match.span() for match in late.finditer(text)] == [match.span() for match in compiled.finditer(text)]
