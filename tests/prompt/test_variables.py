from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import pytest
from pydantic import BaseModel

from agentcache.errors import MissingVariable, SettingsError, TemplateError, VariableLayerError
from agentcache.prompt.plain_values import plain_value, plain_variables
from agentcache.prompt.sections import Prompt, Section, Stability
from agentcache.prompt.variables import check_variables

STATIC, SEMI_STATIC, SESSION, TURN = Stability


def needs(
    prompt: Prompt, *, static: Collection[str] = (), semi_static: Collection[str] | None = ()
) -> dict[str, set[str]]:
    """Return, by layer, the names that the layer must provide; layers that need none are left out."""
    found = check_variables(prompt, static=static, semi_static=semi_static)
    return {layer.value: set(names) for layer, names in found.items() if names}


def session_uses(template: str, includes: Mapping[str, str] | None = None) -> set[str]:
    """Return the names that a template takes from outside, as the session layer would have to give them."""
    return needs(Prompt(session=template, includes=includes)).get("session", set())


# Which layer a variable belongs to


def test_each_layer_may_use_its_own_variables_and_those_of_more_stable_layers() -> None:
    prompt = Prompt(
        static="{{ company }}",
        semi_static="{{ company }} {{ news }}",
        session="{{ company }} {{ news }} {{ customer }}",
        turn="{{ company }} {{ news }} {{ customer }} {{ clock }}",
    )
    assert needs(prompt, static={"company", "spare"}, semi_static={"news"}) == {
        "static": {"company"},
        "semi_static": {"news"},
        "session": {"customer"},
        "turn": {"clock"},
    }


def test_a_session_variable_in_a_static_section_is_refused_with_what_to_do() -> None:
    static = Section(name="static", template="We\nsell\nto {{ customer }}.", source="prompts/support/static.j2")
    prompt = Prompt(static=static, declared={SESSION: frozenset({"customer"})})
    with pytest.raises(VariableLayerError) as caught:
        needs(prompt)
    assert str(caught.value) == (
        "prompts/support/static.j2, line 3: `customer` is a session variable, and a static section may use static "
        "variables only; move the sentence to a session section, or pass `customer` in `variables`"
    )
    assert (caught.value.template, caught.value.line) == ("prompts/support/static.j2", 3)


@pytest.mark.parametrize(
    ("layer", "owner", "allowed"),
    [
        (STATIC, SEMI_STATIC, "static variables only"),
        (STATIC, TURN, "static variables only"),
        (SEMI_STATIC, SESSION, "static and semi_static variables only"),
        (SEMI_STATIC, TURN, "static and semi_static variables only"),
        (SESSION, TURN, "static, semi_static and session variables only"),
    ],
)
def test_no_layer_may_use_a_declared_variable_of_a_less_stable_one(
    layer: Stability, owner: Stability, allowed: str
) -> None:
    prompt = Prompt(**{layer.value: "{{ x }}"}, declared={owner: frozenset("x")})  # type: ignore[arg-type]
    with pytest.raises(VariableLayerError, match=f"`x` is a {owner} variable, and a {layer} section may use {allowed}"):
        needs(prompt, semi_static=None)


def test_an_undeclared_variable_belongs_to_the_session_that_uses_it_too() -> None:
    prompt = Prompt(static="For {{ customer }}.", session="You are {{ customer }}.")
    with pytest.raises(VariableLayerError, match="static, line 1: `customer` is a session variable"):
        needs(prompt)


def test_an_undeclared_variable_of_a_semi_static_section_comes_from_the_callable() -> None:
    prompt = Prompt(semi_static="{{ news }}", session="{{ news }} {{ customer }}")
    assert needs(prompt, semi_static=None) == {"semi_static": {"news"}, "session": {"customer"}}
    with pytest.raises(VariableLayerError, match="`news` is a session variable, and a semi_static section"):
        needs(prompt, semi_static={"prices"})
    with pytest.raises(MissingVariable, match="`news` is used in a semi_static section, and no layer provides it"):
        needs(Prompt(semi_static="{{ news }}"), semi_static={"prices"})


def test_an_undeclared_variable_of_static_sections_only_is_missing() -> None:
    with pytest.raises(
        MissingVariable,
        match=r"static, line 2: `tone` .* no layer provides it; pass `tone` in `variables`, move the sentence",
    ):
        needs(Prompt(static="\n{{ tone }}", session="{{ customer }}"))


def test_an_example_in_agent_toml_provides_nothing() -> None:
    prompt = Prompt(static="{{ company }}", examples={STATIC: {"company": "Acme"}})
    assert needs(prompt, static={"company"}) == {"static": {"company"}}
    with pytest.raises(
        MissingVariable, match="`company` is declared as a static variable, but the agent does not provide"
    ):
        needs(prompt)


def test_a_session_variable_that_only_the_turn_layer_shows_is_still_the_sessions() -> None:
    prompt = Prompt(turn="{{ customer }} {{ clock }}", declared={SESSION: frozenset({"customer"})})
    assert needs(prompt) == {"session": {"customer"}, "turn": {"clock"}}


def test_what_the_agent_provides_wins_over_what_is_declared() -> None:
    prompt = Prompt(static="{{ customer }}", declared={SESSION: frozenset({"customer"})})
    assert needs(prompt, static={"customer"}) == {"static": {"customer"}}


def test_a_use_that_does_without_the_variable_does_not_require_it() -> None:
    assert session_uses("{{ nick | default('friend') }} {{ a | d(b) }}") == {"b"}
    assert session_uses("{% if nick is defined %}Hi {{ nick }}{% endif %}") == set()
    assert needs(Prompt(static="{{ tone | default('dry') }}")) == {}


def test_even_a_use_that_does_without_may_not_reach_into_a_less_stable_layer() -> None:
    prompt = Prompt(static="{{ customer | default('you') }}", declared={SESSION: frozenset({"customer"})})
    with pytest.raises(VariableLayerError):
        needs(prompt)


def test_an_optional_variable_that_nobody_declares_belongs_to_no_layer() -> None:
    includes = {"tone.j2": "{{ tone | default('dry') }}"}
    prompt = Prompt(static="{% include 'tone.j2' %}", session="{% include 'tone.j2' %}", includes=includes)
    assert needs(prompt) == {}


# What a template uses


@pytest.mark.parametrize(
    ("template", "used"),
    [
        ("{{ a }} {{ b.c }} {{ d[e] }} {{ f(g, h=i) }} {{ 'x' if j else k }} {{ l ~ m }}", set("abdefgijklm")),
        ("{{ true }} {{ none }} {{ range(3) | list }} {{ dict(a=1) }} {{ namespace(b=c).b }}", {"c"}),
        ("{% set a = b %}{{ a }}", {"b"}),
        ("{{ a }}{% set a = 1 %}", {"a"}),
        ("{% set a = a | default(1) %}{{ a }}", set()),
        ("{% set a %}{{ b }}{% set c = 1 %}{% endset %}{{ a }}{{ c }}", {"b", "c"}),
        ("{% set a | replace(b, '') %}x{% endset %}{{ a }}", {"b"}),
        ("{% set ns = namespace(n=0) %}{% set ns.n = a %}{{ ns.n }}", {"a"}),
        ("{% set ns.n = 1 %}", {"ns"}),
        ("{% if a %}{% set b = 1 %}{% else %}{% set b = 2 %}{% endif %}{{ b }}", {"a"}),
        ("{% if a %}{% set b = 1 %}{% elif c %}{{ b }}{% endif %}", {"a", "b", "c"}),
        ("{% for a in b if a > c recursive %}{{ a }}{{ loop.index }}{% else %}{{ a }}{% endfor %}", {"a", "b", "c"}),
        ("{% for a, (b, c) in d %}{{ a }}{{ b }}{{ c }}{% set e = 1 %}{% endfor %}{{ b }}{{ e }}", {"b", "d", "e"}),
        ("{% for a in [1] %}{% endfor %}{{ loop }}", {"loop"}),
        ("{% with a = b, c = a %}{{ a }}{{ c }}{% endwith %}{{ c }}", {"a", "b", "c"}),
        ("{% filter replace(a, 'b') %}{% set c = 1 %}{{ d }}{% endfilter %}{{ c }}", {"a", "c", "d"}),
        ("{% autoescape false %}{{ a }}{% endautoescape %}", {"a"}),
        ("{% macro m(a, b=c, d=a) %}{{ a }}{{ b }}{{ e }}{{ varargs }}{{ kwargs }}{% endmacro %}", {"c", "e"}),
        ("{% macro m() %}{{ a }}{{ m }}{% endmacro %}{% set a = 1 %}{{ m() }}", set()),
        ("{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(a) m() %}{{ a }}{{ b }}{% endcall %}{{ a }}", {"a", "b"}),
        ("{% set a = 1 %}{% block x %}{{ a }}{{ b }}{{ super }}{% endblock %}{{ self.x() }}", {"b"}),
        ("{% for a in b %}{% block x %}{{ a }}{% endblock %}{% endfor %}", {"a", "b"}),
        ("{% for a in b %}{% block x scoped %}{{ a }}{% endblock %}{% endfor %}", {"b"}),
        ("{{ a is divisibleby(b) }} {{ [c, {'d': e}] }} {{ f[g:h] }}", set("abcefgh")),
        ("{# {{ a }} #}{% raw %}{{ b }}{% endraw %}", set()),
    ],
)  # fmt: skip
def test_names_are_scoped_as_jinja_scopes_them(template: str, used: set[str]) -> None:
    assert session_uses(template) == used


def test_an_include_sees_what_is_defined_where_it_stands() -> None:
    includes = {"item.j2": "{{ item }} of {{ company }}", "all.j2": "{% include 'item.j2' %}"}
    assert session_uses("{% for item in items %}{% include 'all.j2' %}{% endfor %}", includes) == {"items", "company"}


def test_a_child_template_defines_for_its_parent_and_replaces_its_blocks() -> None:
    includes = {
        "frame.j2": "{% set colour = 1 %}{{ title }}"
        "{% block body %}{{ a }}{% endblock %}{% block end %}{{ b }}{% endblock %}",
        "middle.j2": "{% extends 'frame.j2' %}{% block end %}{{ super() }}{{ c }}{% endblock %}",
    }
    child = "{% extends 'middle.j2' %}{% set title = 'T' %}{% block body %}{{ colour }}{{ d }}{% endblock %}"
    assert session_uses(child, includes) == {"b", "c", "d"}


def test_an_imported_template_defines_its_name_and_sees_variables_only_with_context() -> None:
    includes = {"macros.j2": "{% macro hello(name) %}{{ greeting }} {{ name }}{% endmacro %}"}
    seeing = "{% import 'macros.j2' as m with context %}{{ m.hello(1) }}"
    assert session_uses(seeing, includes) == {"greeting"}
    blind = "{% from 'macros.j2' import hello as h %}{{ h(customer) }}"
    with pytest.raises(
        MissingVariable, match=r"^macros\.j2, line 1: `greeting` does not reach .* imported without context"
    ):
        session_uses(blind, includes)


def test_a_template_that_includes_itself_is_read_once() -> None:
    includes = {"tree.j2": "{{ node.name }}{% for node in node.children %}{% include 'tree.j2' %}{% endfor %}"}
    assert session_uses("{% include 'tree.j2' %}", includes) == {"node"}


def test_an_error_in_an_included_template_names_it_and_who_includes_it() -> None:
    static = Section(name="static", template="{% include 'shared/tone.j2' %}", source="prompts/support/static.j2")
    includes = {"shared/tone.j2": "Tone:\n{% include 'shared/who.j2' %}", "shared/who.j2": "\n\n{{ customer }}"}
    with pytest.raises(VariableLayerError) as caught:
        needs(Prompt(static=static, includes=includes, declared={SESSION: frozenset({"customer"})}))
    assert (caught.value.template, caught.value.line) == ("shared/who.j2", 3)
    assert "a static section (prompts/support/static.j2, which includes this) may use" in str(caught.value)


@pytest.mark.parametrize("layer", list(Stability))
@pytest.mark.parametrize(
    "tag",
    ["{% include choice %}", "{% import 'm/' ~ choice as m %}", "{% extends choice %}", "{% include [choice, 'a'] %}"],
)
def test_a_dynamic_include_is_refused_in_every_layer(layer: Stability, tag: str) -> None:
    prompt = Prompt(**{layer.value: f"\n{tag}"}, includes={"a": ""})  # type: ignore[arg-type]
    with pytest.raises(TemplateError, match=f"^{layer}, line 2: the name of this template is no constant") as caught:
        needs(prompt, static={"choice"}, semi_static=None)
    assert caught.value.line == 2


def test_constant_choices_of_includes_are_fine() -> None:
    includes = {"calm.j2": "{{ a }}", "quick.j2": "{{ b }}"}
    assert session_uses(
        "{% if c %}{% include 'calm' ~ '.j2' %}{% else %}{% include 'quick.j2' %}{% endif %}", includes
    ) == set("abc")
    assert session_uses("{% include ['gone.j2', 'quick.j2', 'calm.j2'] %}", includes) == {"b"}
    assert session_uses("{% include 'gone.j2' ignore missing %}", includes) == set()


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% include 'shared/tune.j2' %}", "'shared/tune.j2' to include; did you mean 'shared/tone.j2'?"),
        ("{% import 'x' as x %}", "there is no template 'x' to include"),
        ("{% extends 'x' %}", "there is no template 'x' to include"),
        ("{% include ['x', 'y'] %}", "there is no template 'x' or 'y' to include"),
        ("{% include 3 %}", "there is no template 3 to include"),
        ("{% include 'turn_macros.j2' %}", "a file of that name is a section itself; rename it"),
    ],
)
def test_an_included_template_that_is_not_there_is_named(template: str, problem: str) -> None:
    turn = Section(name="turn_macros", template="", source="prompts/support/turn_macros.j2")
    with pytest.raises(TemplateError) as caught:
        needs(Prompt(static=f"\n\n{template}", turn=turn, includes={"shared/tone.j2": ""}))
    assert str(caught.value).startswith("static, line 3: there is no template")
    assert problem in str(caught.value)


# Which values


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Order(BaseModel):
    number: int
    tags: set[str]
    placed: date


@dataclasses.dataclass
class Point:
    y: int
    x: Decimal


Pair = namedtuple("Pair", ["left", "right"])  # the untyped kind must work too


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (10**30, 10**30),
        (1.5, 1.5),
        ("text", "text"),
        ((1, (2,)), [1, [2]]),
        (Pair(1, 2), [1, 2]),
        ({10, 9, 2.5}, [2.5, 9, 10]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({"b", 2, None, ("x",)}, [2, "b", ["x"], None]),
        ({"b": 1, "a": {"d": 1, "c": 2}}, {"a": {"c": 2, "d": 1}, "b": 1}),
        (MappingProxyType(OrderedDict(b=1, a=2)), {"a": 2, "b": 1}),
        (date(2026, 11, 22), "2026-11-22"),
        (datetime(2026, 11, 22, 8, 30, tzinfo=UTC), "2026-11-22T08:30:00+00:00"),
        (time(8, 30), "08:30:00"),
        (Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (PurePosixPath("a/b"), "a/b"),
        (
            Order(number=1, tags={"b", "a"}, placed=date(2026, 1, 2)),
            {"number": 1, "placed": "2026-01-02", "tags": ["a", "b"]},
        ),
        (Point(y=1, x=Decimal("2.0")), {"x": "2.0", "y": 1}),
    ],
)
def test_a_value_is_plain_and_ordered_before_a_template_sees_it(value: object, plain: object) -> None:
    found = plain_value(value)
    assert found == plain
    assert repr(found) == repr(plain)  # equal dicts may differ in order, their text may not


class Retriever:
    pass


class Named:
    def __str__(self) -> str:
        return "named"


def numbers() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Retriever(), "`thing` is a Retriever, which has no one text"),
        (Named(), "`thing` is a Named, which has no one text"),
        (Retriever, "`thing` is a type, which has no one text"),
        (numbers, "`thing` is a function, which has no one text"),
        (numbers(), "`thing` is a generator, which can be read only once"),
        ([{"open": numbers()}], "`thing[0].open` is a generator"),
        (b"bytes", "`thing` is a bytes, which has no one text"),
        (float("nan"), "`thing` is nan, which is no JSON number"),
        (Decimal("-Infinity"), "`thing` is -Infinity, which is no JSON number"),
        ({1: "a"}, "`thing` has the key 1 (int); keys must be text"),
        ("\ud800", "`thing` is no Unicode text"),
    ],
)
def test_a_value_without_one_text_is_refused_by_name(value: object, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plain_variables({"fine": 1, "thing": value})
    assert str(caught.value).startswith(problem)


def test_an_open_file_is_refused() -> None:
    with Path(__file__).open(encoding="utf-8") as file, pytest.raises(SettingsError, match="`log` is a TextIOWrapper"):
        plain_value(file, name="log")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(SettingsError, match="`loop` contains itself"):
        plain_value(loop, name="loop")
