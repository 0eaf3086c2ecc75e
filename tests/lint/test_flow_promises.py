"""What holds for every way of values through templates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.lint.agent_sources import AgentSources, LayerFile, Offered, SourceFile
from agentcache.lint.linting import lint
from agentcache.lint.rules import layers, unstable_text, volatile_values
from agentcache.prompt.sections import Stability

RULES = {rule.code: rule for rule in (*volatile_values.RULES, *unstable_text.RULES, *layers.RULES)}

KEEPING = [
    "|list",
    "|unique",
    "|map('upper')",
    "|select('ne', 'z')",
    "|reject('eq', 'z')",
    "|reverse",
    "|batch(2)",
    "|default([])",
    "|safe",
]
TEXT = ["|upper", "|trim", "|replace('a', 'b')", "|indent(2)", "|string", "|truncate(20)", "|title", "|default('x')"]
SETTLING = ["|sort", "|length", "|max", "|sort|first"]
SOURCES = {
    "now()": "PC001",
    "uuid4()": "PC003",
    "env.HOSTNAME": "PC006",
    "random.random()": "PC011",
    "user_name": "PC004",
    "region": "PC005",
    "turn_number": "PC008",
    "catalogue": "PC060",
}
WRAPPINGS = [
    "{{{{ {} }}}}",
    "{{% set a = {} %}}{{{{ a }}}}",
    "{{% with a = {} %}}{{{{ a }}}}{{% endwith %}}",
    "{{% set ns = namespace(a=0) %}}{{% set ns.a = {} %}}{{{{ ns.a }}}}",
    "{{% macro m(a) %}}<{{{{ a }}}}>{{% endmacro %}}{{{{ m({}) }}}}",
    "{{% macro m() %}}{{{{ {} }}}}{{% endmacro %}}{{{{ m() }}}}",
    "{{% macro m() %}}{{{{ caller() }}}}{{% endmacro %}}{{% call m() %}}{{{{ {} }}}}{{% endcall %}}",
    "{{% set a %}}x{{{{ {} }}}}{{% endset %}}{{{{ a }}}}",
    "{{% for a in [{}] %}}{{{{ a }}}}{{% endfor %}}",
    "{{% block b %}}{{{{ {} }}}}{{% endblock %}}",
    "{{% if true %}}{{{{ {} }}}}{{% endif %}}",
    "{{{{ 'a' ~ {} ~ 'b' }}}}",
    "{{% filter upper %}}{{{{ {} }}}}{{% endfilter %}}",
    "{{% set a, b = {}, 1 %}}{{{{ a }}}}",
]


def findings(static: str, *, layer=Stability.STATIC, includes=None):
    sources = AgentSources(
        agent="a",
        layers=(LayerFile(path="static.j2", name="static.j2", text=static, layer=layer),),
        includes={name: SourceFile(path=name, name=name, text=text) for name, text in (includes or {}).items()},
        variables={
            Stability.STATIC: {"tags": ["a"], "company": "x"},
            Stability.SEMI_STATIC: {"catalogue": "1"},
            Stability.SESSION: {"user_name": "x", "region": "x"},
            Stability.TURN: {"turn_number": 1},
        },
        types={"tags": "set"},
        offered=Offered(globals=frozenset({"now", "uuid4", "env", "random"})),
    )
    return lint([sources], RULES)


def codes(static: str, **more) -> list[str]:
    return [finding.code for finding in findings(static, **more)]


@settings(deadline=None)
@given(st.lists(st.sampled_from(KEEPING), max_size=5))
def test_filters_that_keep_the_order_keep_the_finding(chain):
    assert codes("{{ tags" + "".join(chain) + "|join(', ') }}") == ["PC012"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(KEEPING[:-3]), max_size=3), st.sampled_from(SETTLING))
def test_a_filter_that_settles_the_order_ends_it(chain, settling):
    assert codes("{{ tags" + "".join(chain) + settling + " }}") == []


@settings(deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.lists(st.sampled_from(TEXT), max_size=5))
def test_no_filter_of_text_hides_where_it_comes_from(source, chain):
    assert codes("{{ (" + source + ")" + "".join(chain) + " }}") == [SOURCES[source]]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_no_way_through_the_template_hides_where_it_comes_from(source, wrapping):
    assert codes(wrapping.format(source)) == [SOURCES[source]]


@settings(deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.from_regex(r"[a-z]{3,8}_[a-z]{3,8}", fullmatch=True))
def test_the_name_of_an_alias_changes_nothing(source, alias):
    said = findings(f"{{% set {alias} = {source} %}}\n{{{{ {alias} }}}}")
    assert [(finding.code, finding.place.line) for finding in said] == [(SOURCES[source], 2)]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["now()", "uuid4()", "time.time()", "git status", "user_name", "`env`", "random", "\n"]))
)
def test_prose_never_alarms(words):
    prose = " ".join(words)
    assert codes(f"{prose}{{# {{{{ {prose} }}}} #}}{{% raw %}}{{{{ {prose} }}}}{{% endraw %}}") == []


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_nothing_of_it_is_a_mistake_in_the_turn(source):
    assert codes(f"{{{{ {source} }}}}", layer=Stability.TURN) == []


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"catalogue"}))
def test_an_include_is_blamed_for_what_it_brings(source):
    said = findings("x\n{% include 'a.j2' %}", includes={"a.j2": f"\n\n{{{{ {source} }}}}"})
    assert [(finding.code, finding.place.line) for finding in said] == [("PC017", 2)]
    assert (said[0].also[0].path, said[0].also[0].line) == ("a.j2", 3)


def test_a_finding_says_where_what_and_why():
    (finding,) = findings("Hi\n{% set who = user_name %}\nDear {{ who|title }},")
    assert finding.message.startswith("the static layer shows `who|title` (user_name: identity, a session variable): ")
    assert (finding.place.column, finding.place.end_column) == (9, 18)
    assert [place.line for place in finding.also] == [2]
    assert finding.fix


HOSTILE = {
    "itself": ("{% include 'a.j2' %}", {"a.j2": "{% include 'a.j2' %}{% include 'a.j2' %}"}),
    "a fan": ("{% include 'a0' %}", {f"a{n}": f"{{% include 'a{n + 1}' %}}" * 3 for n in range(30)}),
    "macros": (
        "".join(
            f"{{% macro m{n}(x) %}}{{{{ m{n + 1}(x) }}}}{{{{ m{n + 1}(x ~ 1) }}}}{{% endmacro %}}" for n in range(40)
        )
        + "{{ m0(now()) }}",
        {},
    ),
    "loops": ("{% for a in [1] %}" * 60 + "{% set ns.x = now() %}" + "{% endfor %}" * 60, {}),
    "sums": ("{{ " + "+".join(["now()"] * 3000) + " }}", {}),
    "parents": ("{% extends 'a.j2' %}", {"a.j2": "{% extends 'b.j2' %}", "b.j2": "{% extends 'a.j2' %}"}),
    "blocks": ("{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}", {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_template_makes_it_hang(name):
    text, includes = HOSTILE[name]
    findings(text, includes=includes)


@pytest.mark.parametrize("name", ["a fan", "sums", "loops"])
def test_what_could_not_be_followed_to_its_end_is_said(name):
    text, includes = HOSTILE[name]
    assert "PC000" in codes(text, includes=includes)


def test_where_a_value_comes_from_is_told_too():
    said = findings("{% set a = user_name %}\n{% set b = region %}\n{{ a ~ b }}")
    assert [[place.line for place in finding.also] for finding in said] == [[1]]
