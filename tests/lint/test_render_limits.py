"""No template makes the linter hang, fill the memory, read a file or run code: each ends within its steps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given, settings

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.differences import differing_places
from agentcache.lint.linting import lint
from agentcache.lint.renders import RenderedLayer, render_layers
from agentcache.lint.sandbox.meter import MOST_CHARACTERS, MOST_STEPS
from agentcache.lint.syntax import parse_sources
from agentcache.prompt.sections import Stability
from tests.lint.hostile_sources import bodies, texts


def sources(template: str, includes: Mapping[str, str] | None = None) -> AgentSources:
    return AgentSources(
        agent="desk",
        layers=(LayerFile(path="static.j2", name="static.j2", text=template, layer=Stability.STATIC),),
        includes={name: SourceFile(path=name, name=name, text=text) for name, text in (includes or {}).items()},
        variables={
            Stability.STATIC: {"name": "Ana", "words": ["a", "b"], "limits": {"x": 1}},
            Stability.SESSION: {"user": {"name": "Bo"}, "flag": True, "tags": ["t1", "t2"]},
            Stability.TURN: {"turn": 3},
        },
        types={"tags": "set"},
    )


def rendered(template: str, includes: Mapping[str, str] | None = None) -> RenderedLayer | None:
    declared = sources(template, includes)
    layers = render_layers(declared, parse_sources(declared))
    return layers[0] if layers else None


def assert_bounded(layer: RenderedLayer) -> None:
    assert layer.steps <= MOST_STEPS
    assert len(layer.text) <= MOST_CHARACTERS
    assert len(layer.lines) == layer.text.count("\n") + 1


LOOPS = "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x{% endfor %}{% endfor %}{% endfor %}"
DOUBLED = "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}"
ENDLESS = {
    "loops in loops": LOOPS,
    "empty loops in loops": LOOPS.replace("x", ""),
    "a long text": "{{ 'a' * 10**9 }}",
    "a long text from the left": "{{ 10**9 * 'a' }}",
    "a long list": "{{ [1] * 10**9 }}",
    "a long list that nobody prints": "{% set x = [1] * 10**9 %}",
    "a large number": "{{ 10 ** 10 ** 10 }}",
    "large numbers multiplied": "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "a text doubled": DOUBLED,
    "a text doubled in a loop": "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "a text added to itself": "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "a list doubled": "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "a list of itself twice": "{% set n = namespace(x=[1]) %}{% for i in range(50) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "two such lists compared": "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(50) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
    "such a tuple as a key": "{% set n = namespace(x=(1,)) %}{% for i in range(50) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}",
    "a list in itself": "{% set l = [] %}{% do l.append(l) %}{{ l }}{{ l|tojson }}{{ l == [l] }}",
    "a list that grows while it is read": "{% set l = [1] %}{% for i in range(99999) %}{% do l.extend(l) %}{% endfor %}",
    "a range": "{{ range(10**9)|list }}",
    "a huge range": "{% for i in range(10**18) %}{% endfor %}",
    "a recursive macro": "{% macro m() %}a{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "macros that call each other": "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a recursive loop": "{% set l = [1] %}{% for x in [l] recursive %}{{ loop([[l]]) }}{% endfor %}",
    "a macro over a range": "{% macro m(n) %}{% for i in range(n) %}{{ m(n) }}{% endfor %}{% endmacro %}{{ m(9) }}",
    "centered": "{{ 'a'|center(10**9) }}",
    "centered by its method": "{{ 'a'.center(10**9) }}{{ 'a'.ljust(10**9) }}{{ 'a'.zfill(10**9) }}",
    "tabs": "{{ '\\t'.expandtabs(10**9) }}",
    "one long word wrapped": "{{ ('a' * 900000)|wordwrap(1) }}",
    "lines wrapped with a long text": "{{ ('a ' * 9999)|wordwrap(1, wrapstring='b' * 9999) }}",
    "indented": "{{ 'a\\nb'|indent(10**9) }}",
    "replaced": "{{ ('a' * 99999)|replace('a', 'b' * 99999) }}",
    "replaced by its method": "{{ ('a' * 99999).replace('', 'b' * 99999) }}",
    "joined": "{{ range(99999)|join('b' * 99999) }}",
    "joined by its method": "{{ ('b' * 99999).join(range(99999)|map('string')) }}",
    "batches": "{{ [1]|batch(10**9, 'x')|list }}",
    "slices": "{{ [1]|slice(10**9)|list }}",
    "a wide format": "{{ '%999999999d' % 1 }}{{ '%*d' % (999999999, 1) }}{{ '%.999999999f'|format(1) }}",
    "many formats": "{{ ('%s' * 9999) % ('a' * 9999) }}{{ ('%(a)s' * 9999) % {'a': 'b' * 99999} }}",
    "a wide str.format": "{{ '{:999999999}'.format(1) }}",
    "a nested str.format": "{{ '{:{w}}'.format(1, w=999999999) }}",
    "many str.formats": "{{ ('{0}' * 9999).format('a' * 99999) }}",
    "tojson": "{{ [[1]]|tojson(indent=10**9) }}",
    "rounded": "{{ 1.5|round(10**9, 'ceil') }}",
    "text of numbers": "{% for i in range(999) %}{{ (2 ** 4000) ~ (2 ** 4000) }}{% endfor %}",
    "sums of lists": "{{ range(9999)|map('string')|map('list')|list|sum(start=[]) }}",
    "sorted": "{{ range(99999)|sort(reverse=true)|join }}",
    "unique": "{{ range(99999)|unique|list }}",
    "searched": "{{ ('a' * 999999).rfind('b' + 'a' * 499999) }}",
    "split": "{{ ('a ' * 499999).split()|length }}",
    "tags stripped": "{{ ('<!--' * 99999)|striptags }}",
    "wrapped": "{{ ('a ' * 99999)|wordwrap(99999) }}",
    "a lorem": "{{ lipsum(n=10**6) }}",
    "a long stand-in": "{{ nobody('a' * 999999)('b' * 999999) }}",
    "stand-ins in stand-ins": "{% set n = namespace(x=f()) %}{% for i in range(99) %}{% set n.x = f(n.x, n.x) %}{% endfor %}{{ n.x }}",
    "a set block": "{% set x %}{{ 'a' * 99999 }}{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 30,
    "a filter block": "{% filter replace('a', 'a' * 9999) %}{% filter replace('a', 'a' * 9999) %}a{% endfilter %}{% endfilter %}",
    "super": "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
}  # fmt: skip


@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS)
def test_what_would_take_for_ever_ends(template: str) -> None:
    layer = rendered(template)

    assert layer is not None
    assert_bounded(layer)


@pytest.mark.parametrize("name", ["loops in loops", "a long text", "a recursive macro", "a text doubled", "centered"])
def test_a_render_that_was_ended_says_of_what_there_was_too_much(name: str) -> None:
    layer = rendered(ENDLESS[name])

    assert layer is not None
    assert layer.ended


def test_templates_that_include_each_other_end() -> None:
    includes = {
        "a.j2": "a{% include 'b.j2' %}{% include 'b.j2' %}",
        "b.j2": "b{% include 'a.j2' %}{% include 'a.j2' %}",
        "c.j2": "{% extends 'c.j2' %}",
        "d.j2": "{% import 'd.j2' as d %}{% from 'd.j2' import x %}",
    }
    for name in includes:
        layer = rendered("{% include '" + name + "' %}", includes)

        assert layer is not None
        assert_bounded(layer)
        assert layer.ended


def test_a_long_chain_of_extends_ends() -> None:
    chain = {f"{at}.j2": f"{{% extends '{at + 1}.j2' %}}{{% block b %}}{{{{ super() }}}}x{{% endblock %}}"
             for at in range(500)}  # fmt: skip

    layer = rendered("{% extends '0.j2' %}", chain)

    assert layer is not None
    assert_bounded(layer)
    assert layer.ended


DEEP = {
    "parentheses": "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
    "lists": "{{ " + "[" * 10_000 + "]" * 10_000 + " }}",
    "ifs": "{% if a %}" * 10_000 + "{% endif %}" * 10_000,
    "ninety ifs": "{% if a %}" * 90 + "x" + "{% endif %}" * 90,
    "loops": "{% for a in words %}" * 60 + "{% endfor %}" * 60,
    "a sum": "{{ " + " + ".join(["1"] * 10_000) + " }}",
    "a concatenation": "{{ " + " ~ ".join(["name"] * 10_000) + " }}",
    "attributes": "{{ name" + ".a" * 10_000 + " }}",
    "filters": "{{ name" + "|upper" * 10_000 + " }}",
    "nots": "{{ " + "not " * 10_000 + "1 }}",
    "ands": "{{ " + " and ".join(["1"] * 10_000) + " }}",
    "conditions": "{{ " + "1 if a else " * 10_000 + "2 }}",
    "elifs": "{% if a %}" + "{% elif b %}" * 2_000 + "{% endif %}",
    "a literal": "{{ '" + "a" * 2_000_000 + "'|upper|lower|title|indent }}",
    "a long number": "{{ " + "9" * 4_000 + " }}",
    "a longer number": "{{ " + "9" * 40_000 + " }}",
    "open braces": "{{" * 10_000,
    "open comments": "{#" * 10_000,
    "open tags": "{% if " * 5_000,
    "white space": " " * 200_000 + "{%- if a -%}" + " " * 200_000,
}


@pytest.mark.parametrize("template", DEEP.values(), ids=DEEP)
def test_deep_and_long_templates_are_read_and_rendered_or_told_of(template: str) -> None:
    declared = sources(template)

    findings = lint([declared])
    layer = rendered(template)

    assert layer is not None or [finding for finding in findings if finding.code == "PC000"]
    if layer is not None:
        assert_bounded(layer)


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}{{ ''|attr('__class__') }}{{ [1]|map(attribute='__class__')|list }}",
    "{{ words.__class__.__base__ }}{{ words.append.__self__ }}{{ words.append.__globals__ }}",
    "{{ self.__init__.__globals__ }}{{ self._TemplateReference__context }}",
    "{{ range.__call__.__func__ }}{{ dict.__base__ }}{{ namespace.__init__.__globals__.os }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ '{0.__class__}'.format(words) }}{{ '{0[__class__]}'.format(words) }}",
    "{{ '%(__class__)s' % limits }}{{ loop }}{{ super }}{{ caller }}",
    "{% for w in words %}{{ loop.__class__ }}{{ loop.again }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}{{ m.call }}{{ m.func_globals }}",
    "{{ joiner.__class__ }}{{ cycler(1).items }}{{ namespace(a=1).names }}{{ namespace(a=1).__class__ }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_no_template_reaches_python(template: str) -> None:
    layer = rendered(template)

    assert layer is not None
    for shown in ("<class", "<built-in", "<bound method", "<module", "uid=", "builtins", "object at"):
        assert shown not in layer.text


def test_no_template_reads_a_file_outside_its_own() -> None:
    layer = rendered(
        "a{% include '/etc/passwd' %}{% include '../../etc/passwd' ignore missing %}{% import '/etc/hosts' as h %}{{ h }}"
    )

    assert layer is not None
    assert "root" not in layer.text
    assert "localhost" not in layer.text


@settings(deadline=None, max_examples=3 * settings().max_examples)
@given(bodies)
def test_any_template_is_rendered_within_its_steps(template: str) -> None:
    declared = sources(template, {"self.j2": template})
    parsed = parse_sources(declared)

    layers = render_layers(declared, parsed)
    differing_places(declared, parsed, layers)
    again = render_layers(declared, parsed)

    for layer in layers:
        assert_bounded(layer)
    assert layers == again


@settings(deadline=None, max_examples=60)
@given(texts)
def test_any_text_is_read_and_rendered_or_told_of(template: str) -> None:
    layer = rendered(template)

    assert layer is not None or any(finding.code == "PC000" for finding in lint([sources(template)]))


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
sys.path.insert(0, {root!r})
from tests.lint.test_render_limits import DEEP, ENDLESS, rendered
for template in [*ENDLESS.values(), *DEEP.values()]:
    rendered(template)
print("done")
"""


@pytest.mark.slow
def test_all_of_it_stays_within_a_gigabyte_and_two_minutes_of_cpu() -> None:
    root = __file__.rsplit("/tests/", 1)[0]

    finished = subprocess.run(
        [sys.executable, "-c", LIMITED.format(root=root)], capture_output=True, text=True, check=False
    )

    assert finished.stdout == "done\n", finished.stderr[-2000:]
