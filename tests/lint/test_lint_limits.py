"""Nothing that an author can write makes `lint` raise or hang: it is linted, or told of as PC000, or refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, settings

from agentcache.errors import TargetError
from agentcache.lint.agent_sources import AgentSources, SourceFile
from agentcache.lint.agent_toml import Declaration, read_declaration
from agentcache.lint.fixes.table import MOST_IN_A_FILE
from agentcache.lint.fixing import fixed
from agentcache.lint.linting import lint
from agentcache.lint.rewriting import texts_of
from tests.lint.hostile_sources import bodies, declarations, texts, tools_texts
from tests.lint.test_render_limits import ENDLESS, sources


def linted(agent: AgentSources) -> list[tuple[str, int | None]]:
    """Lint, check what every finding promises, and mend what can be mended."""
    findings = lint([agent])
    lengths = {path: text.count("\n") + text.count("\r") + 1 for path, text in texts_of([agent]).items()}
    if agent.tools is not None:
        lengths[agent.tools.path] = agent.tools.text.count("\n") + 1
    for finding in findings:
        assert finding.place.path in lengths
        assert finding.place.line is None or 1 <= finding.place.line <= lengths[finding.place.path]
    fixed(texts_of([agent]), findings, unsafe=True)
    return [(finding.code, finding.place.line) for finding in findings]


def read_or_refused(text: str) -> tuple[Declaration | None, str]:
    try:
        return read_declaration(SourceFile(path="agent.toml", name="agent.toml", text=text)), ""
    except TargetError as error:
        return None, str(error)


@settings(max_examples=60)
@given(bodies, tools_texts)
def test_any_template_and_any_tools_are_linted(template: str, tools: str) -> None:
    file = SourceFile(path="tools.json", name="tools.json", text=tools)
    agent = replace(sources(template, {"self.j2": template}), tools=file, model="claude-opus-5")

    assert linted(agent) == linted(agent)


@settings(max_examples=40)
@given(texts)
def test_any_text_is_linted(template: str) -> None:
    linted(sources(template))


@settings(max_examples=80)
@given(declarations)
def test_any_declaration_is_used_or_refused_with_its_path(text: str) -> None:
    declared, refused = read_or_refused(text)
    if declared is None:
        assert refused.startswith("agent.toml")
        return
    plain = sources("{{ name }}{{ tags }}{{ x.y }}{% for w in words %}{{ w }}{% endfor %}\n")
    linted(replace(plain, model=declared.model, variables=declared.variables, types=declared.types))


LARGE = {
    "a text doubled": ENDLESS["a text doubled"],
    "a number that Python does not write": f"{{{{ 0x{'f' * 9000} ~ 'a' }}}}",
    "loops that end within a macro": "{% macro m(x=1) %}{% call m() %}a{% endcall %}{{ m(x) }}{% endmacro %}{{ m() }}",
    "a template that imports itself": "{% macro m(x=1) %}{% import 'self.j2' as m %}{{ m(x) }}{% endmacro %}{{ m() }}",
    "conditions": "{% if flag %}x{% endif %}\n" * 400,
    "prints": "{{ user.name }}{{ turn }} a\n" * 400,
    "paragraphs": "For {{ user.name }}.\n\n" * 400,
    "the same paragraph": "You answer every question with care, in one sentence.\n\n" * 400,
    "combining marks": "e\u0301" * 20_000,
    "white space": "a" + " " * 50_000 + "b\n" * 999,
    "dates": "2026-01-01 12:00:00 January 1, 2026 1.2.3\n" * 500,
    "ignoring comments": "{# agentcache: ignore PC001 #}\n" * 500,
}


@pytest.mark.parametrize("template", LARGE.values(), ids=LARGE)
def test_large_and_endless_templates_are_linted(template: str) -> None:
    linted(sources(template, {"self.j2": template}))


def test_a_text_that_doubles_without_end_is_told_of() -> None:
    assert "PC000" in [code for code, _ in linted(sources(ENDLESS["a text doubled"]))]


def test_edits_are_looked_for_as_often_as_the_limit_says_and_every_finding_is_told() -> None:
    findings = lint([sources("It is {{ now() }}.\n\n" * (MOST_IN_A_FILE + 50))])

    clocks = [finding for finding in findings if finding.code == "PC001"]
    assert len(clocks) == MOST_IN_A_FILE + 50
    assert all(finding.edits is None for finding in islice(reversed(clocks), 40))
