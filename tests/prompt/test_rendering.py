from __future__ import annotations

import os
import random
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from agentcache.errors import MissingVariable, TemplateError
from agentcache.prompt.canonical import canonical_text
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Section, Stability

ROOT = Path(__file__).parents[2]


def render(template: str, includes: Mapping[str, str] | None = None, /, **variables: object) -> str:
    rendered = Renderer(Prompt(static=template, includes=includes)).render(Stability.STATIC, variables)
    return "".join(section.text for section in rendered)


# The bytes


def test_text_comes_out_as_nfc_with_lf_and_without_white_space_at_its_ends() -> None:
    decomposed = unicodedata.normalize("NFD", "Café")
    assert render("{{ name }} \r\nline two\t\r\n\r\n", name=decomposed) == "Café\nline two"


def test_tags_leave_neither_their_line_nor_their_indentation() -> None:
    assert render("Steps:\n  {% for step in steps %}\n- {{ step }}\n  {% endfor %}\nEnd.", steps=["a", "b"]) == (
        "Steps:\n- a\n- b\nEnd."
    )


def test_sections_that_come_out_empty_are_dropped() -> None:
    prompt = Prompt(session=["{% if vip %}Be quick.{% endif %}\n", Section(name="who", template="Hi", breakpoint="1h")])
    [section] = Renderer(prompt).render(Stability.SESSION, {"vip": False})
    assert (section.name, section.text, section.stability, section.breakpoint) == ("who", "Hi", Stability.SESSION, "1h")


def test_one_layer_is_rendered_at_a_time_with_the_variables_of_more_stable_ones() -> None:
    renderer = Renderer(Prompt(static="We are {{ company }}.", session="You are {{ customer }} of {{ company }}."))
    [section] = renderer.render(Stability.SESSION, {"company": "Acme", "customer": "Ana"})
    assert section.text == "You are Ana of Acme."


def test_text_is_not_escaped_for_html() -> None:
    assert render("{{ rule }} {{ rule | tojson }}", rule='a < b & "c" ü') == r'a < b & "c" ü "a < b & \"c\" ü"'


def test_markup_from_elsewhere_is_plain_text() -> None:
    assert render("{{ note ~ '<b>' }}", note=Markup("<i>")) == "<i><b>"


def test_json_has_sorted_keys_also_for_what_a_template_builds_itself() -> None:
    assert render("{{ {'b': 1, 'a': dict(d=2, c=3)} | tojson }}") == '{"a": {"c": 3, "d": 2}, "b": 1}'
    assert render("{{ {'b': [1]} | tojson(indent=1) }}") == '{\n "b": [\n  1\n ]\n}'


def test_dicts_show_and_iterate_in_key_order() -> None:
    template = "{{ d }} {% for key, value in d.items() %}{{ key }}={{ value }};{% endfor %}"
    assert render(template, d={"b": 1, "a": 2}) == "{'a': 2, 'b': 1} a=2;b=1;"


def test_variables_that_no_template_of_the_layer_names_are_not_looked_at() -> None:
    assert render("Hello.", log=iter([])) == "Hello."


# Building a prompt from parts


def test_templates_may_include_import_and_extend() -> None:
    includes = {
        "frame.j2": "<{% block body %}nothing{% endblock %}>",
        "macros.j2": "{% macro rule(n, text) %}R{{ n }}: {{ text }}{% endmacro %}",
        "tone.j2": "Tone of {{ company }}: {{ tone }}.",
    }
    template = (
        "{% extends 'frame.j2' %}{% from 'macros.j2' import rule %}"
        "{% block body %}{{ rule(1, 'Be kind') }} {% set tone = 'dry' %}{% include 'tone.j2' %}{% endblock %}"
    )
    assert render(template, includes, company="Acme") == "<R1: Be kind Tone of Acme: dry.>"


def test_lists_come_from_filters_that_are_lazy_in_plain_jinja() -> None:
    assert render("{{ xs | map('upper') }} {{ xs | select('in', ['a']) }} {{ xs | reverse }}", xs=["a", "b"]) == (
        "['A', 'B'] ['a'] ['b', 'a']"
    )


# What a template cannot do

FIVE = {"d": {"a": "1", "items": [1]}}


@pytest.mark.parametrize(
    "expression",
    [
        "{{ d.items }}",
        "{{ d.items ~ '' }}",
        "{{ [d.items] }}",
        "{{ [d.items] | string }}",
        "{{ d.keys | upper }}",
        "{{ d | attr('keys') }}",
        "{{ '%s' % d.keys }}",
        "{{ '%s' | format(d.keys) }}",
        "{{ '{}'.format(d.keys) }}",
        "{{ '{0.keys}'.format(d) }}",
        "{{ [d] | map(attribute='keys') | list }}",
        "{{ namespace(x=d.keys) ~ '' }}",
        "{{ range ~ '' }}",
        "{{ d.a.format ~ '' }}",
        "{% for x in [1] %}{{ loop.cycle }}{% endfor %}",
        "{% block b %}{% endblock %}{{ self.b ~ '' }}",
        "{% for item in d.items %}{{ item }}{% endfor %}",
        "{% if d.items %}yes{% endif %}",
    ],
)
def test_a_method_is_called_or_refused_but_never_shown_or_tested(expression: str) -> None:
    with pytest.raises(TemplateError, match=r"^static(, line 1)?: '\w+' is a method; call it"):
        render(expression, **FIVE)


def test_a_replaced_block_may_call_its_parent_but_not_show_it() -> None:
    includes = {"frame.j2": "{% block body %}kept{% endblock %}"}
    assert render("{% extends 'frame.j2' %}{% block body %}{{ super() }}!{% endblock %}", includes) == "kept!"
    with pytest.raises(TemplateError, match="is a method"):
        render("{% extends 'frame.j2' %}{% block body %}{{ super ~ '' }}{% endblock %}", includes)


@pytest.mark.parametrize(
    "expression", ["{{ range(3) }}", "{{ d.a.encode() }}", "{{ namespace() }}", "{{ dict }}", "{{ self }}"]
)
def test_what_is_no_value_is_not_shown(expression: str) -> None:
    with pytest.raises(TemplateError, match=r"static, line 1: this shows a \w+ instead of a value"):
        render(expression, **FIVE)


def test_the_difference_of_keys_would_be_a_set_and_is_refused() -> None:
    assert render("{{ d.keys() }}", **FIVE) == "['a', 'items']"
    with pytest.raises(TemplateError, match="line 1"):
        render("{{ d.keys() - ['a'] }}", **FIVE)


@pytest.mark.parametrize(
    "expression",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ d | attr('__class__') }}",
        "{{ d.keys.__self__ }}",
        "{{ '{0.__class__.__mro__}'.format(d) }}",
        "{{ '{x.__class__}'.format_map({'x': d}) }}",
        "{{ d | map(attribute='__class__') | list }}",
        "{{ d.update({'b': 1}) }}",
        "{{ d['items'].append(2) }}",
        "{{ range(1000000) | list }}",
    ],
)
def test_no_template_leaves_the_sandbox(expression: str) -> None:
    with pytest.raises(TemplateError, match="static, line 1: "):
        render(expression, **FIVE)


@pytest.mark.parametrize("name", ["lipsum", "cycler", "joiner"])
def test_globals_that_differ_from_process_to_process_are_not_offered(name: str) -> None:
    with pytest.raises(MissingVariable, match=f"'{name}' is undefined"):
        render(f"{{{{ {name}() }}}}")


def test_a_random_choice_is_refused_before_anything_is_rendered() -> None:
    with pytest.raises(
        TemplateError, match="static, line 2: No filter named 'random': a prompt must come out the same"
    ):
        Renderer(Prompt(static="Examples:\n{{ examples | random }}"))


# How it fails


def test_a_missing_variable_names_template_line_and_variable() -> None:
    section = Section(name="who", template="Hi\n\n{{ customer }}", source="prompts/support/session.j2")
    with pytest.raises(
        MissingVariable, match=r"^prompts/support/session\.j2, line 3: 'customer' is undefined"
    ) as caught:
        Renderer(Prompt(session=section)).render(Stability.SESSION, {})
    assert (caught.value.template, caught.value.line) == ("prompts/support/session.j2", 3)


@pytest.mark.parametrize(
    "expression",
    [
        "{{ order.id }}",
        "{{ [order.id, {'id': order.id}] }}",
        "{% if vip %}{% endif %}",
        "{{ nope | items }}",
        "{{ nope | tojson }}",
        "{{ nope | map('upper') }}",
    ],
)
def test_no_use_of_a_missing_value_passes_for_an_empty_one(expression: str) -> None:
    with pytest.raises(MissingVariable, match="static, line 1"):
        render(expression, order={"number": 17})


def test_a_missing_variable_may_have_a_default() -> None:
    assert render("{{ tone | default('dry') }}{% if vip is defined %}!{% endif %}") == "dry"


def test_a_failure_in_an_included_template_names_that_template() -> None:
    with pytest.raises(MissingVariable, match=r"^shared/tone\.j2, line 2: 'tone'") as caught:
        render("one\ntwo\n{% include 'shared/tone.j2' %}", {"shared/tone.j2": "Tone:\n{{ tone }}"})
    assert (caught.value.template, caught.value.line) == ("shared/tone.j2", 2)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("a\n{% if %}", "static, line 2: Expected an expression"),
        ("a\n{{ x | nosuch }}", "static, line 2: No filter named 'nosuch'"),
        ("a\n{% include 'tone.j2' %}", "tone.j2, line 1: Unexpected end of template"),
    ],
)
def test_a_template_that_does_not_compile_fails_when_the_prompt_is_compiled(template: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Renderer(Prompt(static=template, includes={"tone.j2": "{% for x in xs %}"}))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ 1 / n }}", "static, line 1: division by zero (ZeroDivisionError)"),
        ("\n{% include 'x' %}", "static, line 2: there is no template 'x' to include"),
        ("{{ '\\ud800' }}", "static: 'utf-8' codec can't encode character"),
    ],
)
def test_other_failures_name_template_and_line(template: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, n=0)
    assert str(caught.value).startswith(problem)


# Always the same bytes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS | st.frozensets(TEXTS | st.integers(), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
SHOW_ALL = Renderer(
    Prompt(
        static="{{ data }}|{{ data | tojson }}|{% for key, value in data.items() %}{{ key }}: {{ value }};{% endfor %}"
    )
)


def reordered(value: object, order: random.Random) -> object:
    if isinstance(value, dict):
        items = [(key, reordered(item, order)) for key, item in value.items()]
        order.shuffle(items)
        return dict(items)
    return [reordered(item, order) for item in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=6), st.randoms(use_true_random=False))
def test_rendering_twice_gives_the_same_bytes_in_any_dict_order(data: dict[str, object], order: random.Random) -> None:
    once = SHOW_ALL.render(Stability.STATIC, {"data": data})
    assert SHOW_ALL.render(Stability.STATIC, {"data": reordered(data, order)}) == once


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_canonical_text_is_canonical_already(text: str) -> None:
    assert canonical_text(canonical_text(text)) == canonical_text(text)


PROGRAM = """
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability

words = ["apple", "beet", "corn", "dill", "eggplant", "fig", "grape"]
variables = {
    "tags": set(words),
    "nested": {"x": [frozenset(words), {1, "a", None, 2.5}]},
    "counts": dict.fromkeys(set(words), 1),
}
prompt = Prompt(
    static="{{ tags | join }} {{ nested }} {{ counts | tojson }} {% for name in counts %}{{ name }}{% endfor %}",
    session="{% include 'tags.j2' %}{{ counts | dictsort }}{{ tags | unique | map('upper') }}{{ counts.items() }}",
    includes={"tags.j2": "{% for tag in tags %}{{ tag }}, {% endfor %}"},
)
for stability in Stability:
    print([section.text for section in Renderer(prompt).render(stability, variables)])
"""


def test_every_process_renders_the_same_bytes() -> None:
    def output(seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True).stdout

    outputs = {output(seed) for seed in ("0", "1", "7", "4294967295")}
    assert len(outputs) == 1
    assert b"applebeetcorn" in outputs.pop()
