"""Rules on literal text, tools, markers and layout, on prompts that have the mistake and on some that only look so.

A case is a prompt as data: its layers, `tools` as JSON text, the model. `at` lists file and line of each finding.
`(prose 300 b)` stands for 300 words of made-up prose, each letter another text.
"""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path

import pytest

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.linting import lint
from agentcache.lint.rules import layout, literal_text, markers, tools
from agentcache.prompt.sections import Stability

RULES = {
    rule.code: rule
    for rule in (*literal_text.RULES, *tools.RULES, *markers.RULES, *layout.RULES)
    if rule.check is not None
}
FOLDER = Path(__file__).parent / "cases"
CASES = [
    pytest.param(code, case, id=f"{code}-{number}")
    for code in sorted(RULES)
    for number, case in enumerate(tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))["case"], start=1)
]
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we", "xi")


def prose(words: int, seed: str) -> str:
    chosen = random.Random(seed)
    said = ["".join(chosen.choices(SYLLABLES, k=chosen.randint(1, 4))) for _ in range(words)]
    return ". ".join(" ".join(said[at : at + 12]).capitalize() for at in range(0, words, 12)) + "."


def written(text: str) -> str:
    return re.sub(r"\(prose (\d+) (\w)\)", lambda match: prose(int(match[1]), match[2]), text)


def sources_of(case) -> AgentSources:
    tools_text = case.get("tools")
    return AgentSources(
        agent="case",
        model=case.get("model"),
        layers=tuple(
            LayerFile(path=f"{layer.value}.j2", name=f"{layer.value}.j2", text=written(case[layer.value]), layer=layer)
            for layer in Stability
            if layer.value in case
        ),
        includes={
            name: SourceFile(path=name, name=name, text=written(text))
            for name, text in case.get("includes", {}).items()
        },
        tools=None
        if tools_text is None
        else SourceFile(path="tools.json", name="tools.json", text=written(tools_text)),
        variables={Stability(layer): values for layer, values in case.get("variables", {}).items()},
    )


@pytest.mark.parametrize(("code", "case"), CASES)
def test_a_rule_finds_its_mistake_where_it_stands_and_nothing_else(code, case):
    found = lint([sources_of(case)], RULES)
    said = [f"{finding.code} {finding.place.path.partition('.')[0]} {finding.place.line}" for finding in found]
    assert said == [f"{code} {place}" for place in case["at"]]


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_cases_that_fail_and_cases_that_pass(code):
    cases = tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8"))["case"]
    assert len([case for case in cases if case["at"]]) >= 3
    assert [case for case in cases if not case["at"]]
