"""Rendering a prompt with example values: the bytes that Jinja gives, and the lines that printed them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment

from agentcache.lint.agent_sources import AgentSources, LayerFile, Offered, SourceFile
from agentcache.lint.reading import read_agents
from agentcache.lint.renders import RenderedLayer, render_layers
from agentcache.lint.syntax import parse_sources
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability

CORPUS = Path(__file__).parents[3] / "shared" / "lint-corpus" / "dev"

VALUES: dict[str, JsonValue] = {
    "name": "Ana",
    "count": 3,
    "ratio": 0.5,
    "on": True,
    "words": ["pear", "Apple", "fig"],
    "rows": [{"name": "b", "n": 2}, {"name": "a", "n": 1}, {"name": "c", "n": 2}],
    "limits": {"refund": 50, "gift": 20},
    "text": "one two\nthree <b>four</b>",
}


def sources(template: str, includes: dict[str, str] | None = None, **changes: object) -> AgentSources:
    fields: dict[str, object] = {
        "agent": "desk",
        "layers": (LayerFile(path="desk/static.j2", name="static.j2", text=template, layer=Stability.STATIC),),
        "includes": {
            name: SourceFile(path=f"desk/{name}", name=name, text=text) for name, text in (includes or {}).items()
        },
        "variables": {Stability.STATIC: VALUES},
    }
    return AgentSources(**{**fields, **changes})  # type: ignore[arg-type]  # as each test names them


def rendered(template: str, includes: dict[str, str] | None = None, **changes: object) -> RenderedLayer:
    declared = sources(template, includes, **changes)
    (layer,) = render_layers(declared, parse_sources(declared))
    return layer


def jinja(template: str, includes: dict[str, str] | None = None) -> str:
    extensions = ["jinja2.ext.do", "jinja2.ext.loopcontrols"]
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, loader=DictLoader(includes or {}), extensions=extensions
    )
    return environment.from_string(template).render(**VALUES)


EXPRESSIONS = [
    "name|upper ~ '!'",
    "words|sort|join(', ')",
    "words|sort(reverse=true, case_sensitive=true)|join(' ')",
    "rows|map(attribute='name')|sort|join",
    "rows|selectattr('n', 'eq', 2)|map(attribute='name')|list",
    "rows|rejectattr('n', 'gt', 1)|list",
    "rows|sort(attribute='n,name')|map(attribute='name')|join",
    "rows|sum(attribute='n')",
    "rows|max(attribute='n')",
    "rows|unique(attribute='n')|map(attribute='name')|list",
    "rows|groupby('n')|map('first')|list",
    "limits|dictsort",
    "limits|dictsort(by='value')",
    "limits.items()|list",
    "limits.refund + limits['gift']",
    "limits.nothing|default('none')",
    "nothing",
    "nothing is defined",
    "name is string and count is number",
    "count is odd and not count is divisibleby 2",
    "words[0][::-1]",
    "words[1:]",
    "words[-1]",
    "text|indent(2)",
    "text|indent(2, first=true, blank=true)",
    "text|wordcount",
    "text|title",
    "text|striptags",
    "text|e",
    "text|truncate(8)",
    "text|truncate(9, true, '…', 0)",
    "text|replace('o', '0', 1)",
    "text|center(40)",
    "text|upper|lower|capitalize|trim",
    "text.splitlines()",
    "text.split()|length",
    "text.startswith('one') or text.endswith('two')",
    "'%s has %03d of %5.2f'|format(name, count, ratio)",
    "'%(a)s' % {'a': name}",
    "'{} {0!r:>6} {x[refund]}'.format(name, x=limits) if false else '{0!r:>6} {x[refund]}'.format(name, x=limits)",
    "'-' * 10 + 'x'",
    "[1, 2] + [3]",
    "(1, 'two', none, 1.0, true)",
    "{'a': [1], 2: 'b'}",
    "7 // 2, 7 % 3, 2 ** 8, 7 / 2, -3, +4",
    "1 < 2 < 3 and 'a' in 'abc' and 4 not in [1, 2]",
    "count|string + '1'",
    "'12'|int + '1.5'|float",
    "'abc'|int(7)",
    "2.567|round(1)",
    "2.5|round(0, 'ceil')",
    "(-3)|abs",
    "1234567|filesizeformat",
    "1234567|filesizeformat(true)",
    "limits|tojson",
    "rows|tojson(indent=2)",
    "'<&>'|tojson",
    "words|batch(2, '-')|list",
    "words|slice(2)|list",
    "words|first, words|last, words|reverse|list, words|length",
    "words|map('upper')|select('in', ['FIG'])|list",
    "'a b/ü'|urlencode",
    "{'class': 'x', 'id': none}|xmlattr",
    "on and name or 'x'",
    "'yes' if on",
    "'no' if not on",
    "range(1, 10, 3)|list",
    "dict(a=1, b=name)",
    "'a,b'.split(',')",
    "'x'.join(words)",
    "'Ab'.swapcase() ~ 'b'.center(5, '*') ~ '7'.zfill(3)",
    "words is iterable and limits is mapping and words is sequence",
    "'abcabc'.find('c', 3), 'abcabc'.rfind('a', 0, 3), 'abcabc'.count('b', 2), 'abcabc'.index('a', 1, 5)",
    "'abcabc'.startswith('b', 1), 'abcabc'.endswith(('x', 'b'), 0, 5)",
    "' a '.strip(), 'xax'.strip('x'), 'xax'.lstrip('x'), 'xax'.rstrip('x')",
    "'a'.ljust(3, '.'), 'a'.rjust(3), 'a\tb'.expandtabs(4), 'a\tb'.expandtabs()",
    "'a-b-a'.replace('a', 'x'), 'a-b-a'.replace('a', 'x', 1), 'a-b-a'.rsplit('-', 1), 'a-b'.partition('-')",
    "'{a}'.format_map({'a': name}), 'abc'.removeprefix('a'), 'abc'.removesuffix('c')",
    "' '.join({'a': 1, 'b': 2}), '.'.join('abc'), 'a\nb'.splitlines(true)",
    "words.index('fig'), words.count('fig'), words.copy(), [3, 1].pop(), [3, 1].pop(0)",
    "limits.keys()|list, limits.values()|list, limits.get('gift'), limits.get('no'), limits.get('no', 7)",
    "limits.copy(), {'a': 1}.pop('a'), {}.pop('a', 2), {}.setdefault('a', 3)",
    "namespace(a=[1], b='x')",
    "text|wordwrap(9), 'a long line of words'|wordwrap(6, wrapstring='/')",
    "'supercalifragilistic word'|wordwrap(5), 'supercalifragilistic'|wordwrap(5, false)",
    "'a well-known\n\nword'|wordwrap(7), 'a well-known word'|wordwrap(7, break_on_hyphens=false)",
    "limits|length, limits|urlencode, {'a b': 'c/d'}|urlencode, 'c/d e'|urlencode",
    "0|filesizeformat, 1|filesizeformat",
    "10000000|filesizeformat, 10000000000000000000000000000|filesizeformat",
    "'ab' * 2, [1] * 2, (1,) * 2, (1,) + (2,), 'a' in ('a', 'b'), 'a' in limits, 1 in [1]",
    "words[0:2], 'abcdef'[1:5:2], (1, 2, 3)[:-1]",
    "'a\nb'|indent('> '), none|int(3), words|map(attribute='a', default='z')|list",
    "true and [], not {}, 0.0 or (), none or ''",
    "name.nothing",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_comes_out_as_in_jinja(expression: str) -> None:
    template = "{{ " + expression + " }}"

    assert rendered(template).text == jinja(template)


STATEMENTS = {
    "loop": "{% for w in words %}\n{{ loop.index }}/{{ loop.length }} {{ w }}{{ ',' if not loop.last }}\n{% endfor %}",
    "loop with a filter": "{% for r in rows if r.n == 2 %}{{ r.name }}{% else %}none{% endfor %}",
    "loop over nothing": "{% for r in [] %}{{ r }}{% else %}none{% endfor %}",
    "loop over pairs": "{% for k, v in limits.items() %}{{ k }}={{ v }} {% endfor %}",
    "loop in a loop": "{% for a in [1, 2] %}{% for b in 'xy' %}{{ a }}{{ b }}{{ loop.first }}{% endfor %}{% endfor %}",
    "recursive loop": "{% for x in [[1, [2]], 3] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}",
    "loop variables": "{% for w in words %}{{ loop.previtem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(1) }}{% endfor %}",
    "break and continue": "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "scope of set": "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 9 %}{{ x }}{% endfor %}{{ x }}",
    "set in an if": "{% if on %}{% set x = 5 %}{% endif %}{{ x }}",
    "namespace": "{% set n = namespace(v=0) %}{% for r in rows %}{% set n.v = n.v + r.n %}{% endfor %}{{ n.v }}",
    "set block": "{% set x %}a{{ name }}\n{% endset %}[{{ x }}]",
    "set block with filters": "{% set x | upper | trim %} {{ name }} {% endset %}[{{ x }}]",
    "set two": "{% set a, b = 1, 2 %}{{ b }}{{ a }}",
    "do": "{% set l = [] %}{% do l.append(4) %}{{ l }}",
    "methods of a list": "{% set l = [2] %}{% do l.extend((1, 3)) %}{% do l.insert(0, 9) %}{% do l.remove(1) %}{% do l.reverse() %}{{ l }}{% do l.clear() %}{{ l }}",
    "methods of a mapping": "{% set d = {'a': 1} %}{% do d.update({'b': 2}) %}{% do d.update(c=3) %}{% do d.setdefault('e', []) %}{{ d }}",
    "what a macro and a loop look like": "{% macro m() %}{% endmacro %}{% for i in [1] %}{{ loop }}{% endfor %}",
    "what an import looks like": "{% import 'macros.j2' as m %}{{ m }}",
    "names of a loop in brackets": "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "attribute of a namespace among others": "{% set n = namespace(a=0) %}{% set n.a, b = 1, 2 %}{{ n.a }}{{ b }}",
    "macro without its argument": "{% macro m(a, b) %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m() }}",
    "arguments in a list and a mapping": "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 3]) }}{{ m(**{'a': 4}) }}",
    "cycler that is called by its method": "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{% do c.reset() %}{{ c.next() }}",
    "with": "{% with a = name, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "filter": "{% filter upper | replace('A', 'o') %}banana {{ name }}{% endfilter %}",
    "macro": "{% macro m(a, b='x') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}{{ m(1, 2, 3, c=4) }}",
    "macro in a macro": "{% macro a(x) %}<{{ x }}>{% endmacro %}{% macro b(x) %}{{ a(x) }}{% endmacro %}{{ b(name) }}",
    "call": "{% macro m() %}[{{ caller(3) }}]{% endmacro %}{% call(n) m() %}{{ n }}{{ name }}{% endcall %}",
    "include": "a{% include 'part.j2' %}b{% include ['no.j2', 'part.j2'] %}{% include 'no.j2' ignore missing %}",
    "include without context": "{% include 'part.j2' without context %}",
    "macro that is printed": "{% macro m(a) %}{{ a }}{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ [m] }}",
    "call that is printed": "{% macro m() %}{{ caller }}{% endmacro %}{% call m() %}text{% endcall %}",
    "import": "{% import 'macros.j2' as m %}{{ m.hello(name) }}{{ m.LIMIT }}",
    "from import": "{% from 'macros.j2' import hello as h, LIMIT with context %}{{ h('x') }}{{ LIMIT }}",
    "extends": "{% extends 'base.j2' %}lost{% set title = 'T' %}{% block body %}b {{ super() }}{{ name }}{% endblock %}",
    "self": "{% block t %}x{{ name }}{% endblock %}{{ self.t() }}",
    "scoped block": "{% for i in [1, 2] %}{% block b scoped %}{{ i }}{% endblock %}{% endfor %}",
    "white space": "  {% if on %}\n  a\n  {% endif %}\n\n{{- name -}}\n\n b {#- c -#}\n",
    "raw": "{% raw %}{{ name }}{% endraw %}",
    "joiner and cycler": "{% set j = joiner('|') %}{% set c = cycler('a', 'b') %}{{ j() }}{{ c.next() }}{{ j() }}{{ c.next() }}{{ c.current }}",
}
INCLUDES = {
    "part.j2": "<{{ name }}>\n",
    "macros.j2": "{% macro hello(who) %}hello {{ who }}{% endmacro %}{% set LIMIT = 5 %}",
    "base.j2": "# {{ title }}\n{% block body %}base{% endblock %}\n{% block end %}end{% endblock %}\n",
}


@pytest.mark.parametrize("template", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_comes_out_as_in_jinja(template: str) -> None:
    assert rendered(template, INCLUDES).text == jinja(template, INCLUDES)


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(STATEMENTS.values())), min_size=1, max_size=4))
def test_statements_behind_one_another_come_out_as_in_jinja(parts: list[str]) -> None:
    template = "\n".join(part for part in parts if "extends" not in part and "block" not in part)

    assert rendered(template, INCLUDES).text == jinja(template, INCLUDES)


def test_every_line_knows_where_it_was_printed() -> None:
    layer = rendered("One\n{% for w in words %}\n- {{ w }}\n{% endfor %}\n{% include 'part.j2' %}\nEnd", INCLUDES)

    places = [(place.path, place.line) for place in layer.lines]

    assert layer.text.split("\n") == ["One", "- pear", "- Apple", "- fig", "<Ana>End"]
    assert places == [("desk/static.j2", 1), *[("desk/static.j2", 3)] * 3, ("desk/part.j2", 1)]


def test_what_is_not_there_is_said_in_the_words_that_ask_for_it() -> None:
    layer = rendered("{{ clock.now('UTC').day }} {{ name|shout }} {% weather 'Oslo' %}", complete=False)

    assert layer.text == "clock.now(UTC).day shout(Ana) weather(Oslo)"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ nobody|length }} {{ nobody|float }} {{ nobody|int }}", "nobody|length nobody nobody"),
        ("{% if 'x' in nobody %}y{% endif %}{{ nobody in 'abc' }}{{ 'a' == nobody }}", "yFalseFalse"),
        (
            "{% for k, v in nobody|items %}{{ k }}={{ v }} {% endfor %}",
            "nobody[0]=nobody[nobody[0]] nobody[1]=nobody[nobody[1]] ",
        ),
        ("{{ ', '.join(nobody) }} {{ [nobody] }} {{ nobody.field.x }}", "nobody [nobody] nobody.field.x"),
    ],
)
def test_what_is_made_of_a_value_that_is_not_there_is_said_in_words_too(template: str, text: str) -> None:
    assert rendered(template, complete=False).text == text


@pytest.mark.parametrize(
    "expression",
    ["'a'.center('b')", "'a'.zfill('b')", "'a' * 'b'", "1 in 5", "5[1:2]", "'a'.join(5)", "5|length", "5|round('a')"],
)
def test_what_fails_in_jinja_is_unknown_and_ends_nothing(expression: str) -> None:
    layer = rendered("{{ " + expression + " }}, and on")

    assert layer.ended is None
    assert layer.text.endswith(", and on")


def test_values_of_declared_types_go_through_filters_and_methods() -> None:
    values = {Stability.STATIC: {"tags": ["b", "a"], "at": "2026-11-20T10:00:00"}}
    types = {"tags": "set", "at": "datetime"}
    asked = {
        "{{ tags|length }} {{ 'a' in tags }} {{ ', '.join(tags) }}": "2 True b, a",
        "{{ [tags] }} {{ [range] }} {{ ['a'.upper] }}": "[{'b', 'a'}] [<function range>] [upper]",
        "{{ at }} {{ [at] }}": "2026-11-20 10:00:00 [datetime.datetime(2026, 11, 20, 10, 0)]",
        "{{ '{}'.format(at) }} {{ '{:%d}'.format(at) }} {{ at.year }}": "2026-11-20 10:00:00 20 2026",
        "{{ at.strftime('%Q %d') }} {{ at == 'x' }} {{ 'x' == at }}": "%Q 20 False False",
    }
    assert {template: rendered(template, variables=values, types=types).text for template in asked} == asked


def test_what_no_template_shows_on_purpose_has_a_name() -> None:
    asked = {
        "{% for i in [1] %}{{ [loop] }}{% endfor %}": "[<LoopContext 1/1>]",
        "{% import 'macros.j2' as m %}{{ [m] }}": "[<TemplateModule 'macros.j2'>]",
        "{{ [cycler('a')] }}{{ [joiner()] }}{{ cycler().next() }}": "[<Cycler>][<Joiner>]",
    }
    assert {template: rendered(template, INCLUDES).text for template in asked} == asked


def test_a_name_that_no_complete_declaration_knows_is_empty() -> None:
    assert rendered("[{{ nobody }}]").text == "[]"
    assert rendered("[{{ offered }}]", offered=Offered(globals=frozenset({"offered"}))).text == "[offered]"


@pytest.mark.parametrize("kind", ["set", "frozenset", "dict:unordered", "object", "list[object]", "datetime"])
def test_a_typed_value_has_one_text_in_one_process(kind: str) -> None:
    typed = {"types": {"limits": kind}}

    assert rendered("{{ limits }}", **typed).text == rendered("{{ limits }}", **typed).text


@pytest.mark.skipif(not CORPUS.exists(), reason="the labelled prompt directories are not here")
def test_the_labelled_prompts_come_out_as_in_jinja() -> None:
    compared = 0
    for agent in read_agents([CORPUS]):
        if agent.types or agent.offered != Offered() or any("random" in file.text for file in agent.layers):
            continue
        includes = {name: file.text for name, file in agent.includes.items()}
        environment = Environment(trim_blocks=True, lstrip_blocks=True, loader=DictLoader(includes))
        values = {name: value for names in agent.variables.values() for name, value in names.items()}
        for file, layer in zip(agent.layers, render_layers(agent, parse_sources(agent)), strict=True):
            assert layer.text == environment.from_string(file.text).render(values), file.path
            compared += 1
    assert compared > 100
