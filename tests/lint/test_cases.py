"""Every rule that judges what flows into the text, on templates that have the mistake and on some that only look so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agentcache.lint.agent_sources import AgentSources, LayerFile, Offered, SourceFile
from agentcache.lint.linting import lint
from agentcache.lint.rules import layers, unstable_text, volatile_values
from agentcache.prompt.sections import Stability

RULES = {rule.code: rule for rule in (*volatile_values.RULES, *unstable_text.RULES, *layers.RULES)}
FOLDER = Path(__file__).parent / "cases"
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}-{number}")
    for path in sorted(FOLDER.glob("*.toml"))
    if path.stem in RULES
    for number, case in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["case"], start=1)
]


def sources_of(case) -> AgentSources:
    return AgentSources(
        agent="case",
        layers=tuple(
            LayerFile(path=f"{layer.value}.j2", name=f"{layer.value}.j2", text=case[layer.value], layer=layer)
            for layer in Stability
            if layer.value in case
        ),
        includes={name: SourceFile(path=name, name=name, text=text) for name, text in case.get("includes", {}).items()},
        variables={Stability(layer): values for layer, values in case.get("variables", {}).items()},
        types=case.get("types", {}),
        offered=Offered(
            globals=frozenset(case.get("globals", [])),
            filters=frozenset(case.get("filters", [])),
            extensions=frozenset(case.get("extensions", [])),
        ),
    )


@pytest.mark.parametrize(("code", "case"), CASES)
def test_a_rule_finds_its_mistake_where_it_stands_and_nothing_else(code, case):
    found = lint([sources_of(case)], RULES)
    said = [f"{finding.code} {finding.place.path.removesuffix('.j2')} {finding.place.line}" for finding in found]
    assert said == [f"{code} {place}" for place in case["at"]]


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_cases_that_fail_and_cases_that_pass(code):
    cases = tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8"))["case"]
    assert len([case for case in cases if case["at"]]) >= 3
    assert [case for case in cases if not case["at"]]
