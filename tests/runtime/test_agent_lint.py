"""An agent as the linter sees it: what its runtime makes impossible is no finding, the rest is told at its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentcache import Agent, DeclarationError, MistakesFound, Prompt, Section, Stability, Team, tool
from agentcache.lint import own_agents
from agentcache.runtime import agent_lint
from agentcache.runtime.agent_lint import agent_sources, findings_in, refuse_mistakes

RULES = "Answer briefly and say where you looked.\n" * 200
COUNTED = """\
You are on the phone.
This is step {{ step_number }} of the call.
"""
AT_COUNTED = (
    Path(__file__).read_text(encoding="utf-8").split("\n").index("This is step {{ step_number }} of the call.") + 1
)


@tool
def find(word: str) -> str:
    """Look a word up."""
    return word


def agent(**changes: Any) -> Agent[Any]:
    declared: dict[str, Any] = {"name": "clerk", "model": "claude-sonnet-5-5", "prompt": Prompt(static=RULES)}
    return Agent(**{**declared, **changes})


def test_the_sources_of_an_agent_are_its_templates_tools_and_variables():
    sources = agent_sources(
        agent(
            prompt=Prompt(
                static=[RULES, Section(name="who", template="For {{ company }}.")],
                semi_static="{{ news }}",
                session="{{ customer }}",
                examples={Stability.SESSION: {"customer": "Ana"}},
            ),
            variables={"company": {"b": 1, "a": {3, 1, 2}}},
            semi_static=lambda: {"news": "none"},
            tools=[find],
        )
    )
    assert (sources.agent, sources.model) == ("clerk", "claude-sonnet-5-5")
    assert [(layer.layer.value, layer.name) for layer in sources.layers] == [
        ("static", "static_1"),
        ("static", "who"),
        ("semi_static", "semi_static"),
        ("session", "session"),
    ]
    assert sources.variables == {
        Stability.STATIC: {"company": {"a": [1, 2, 3], "b": 1}},
        Stability.SEMI_STATIC: {"news": None},
        Stability.SESSION: {"customer": "Ana"},
        Stability.TURN: {},
    }
    assert sources.tools is not None
    assert '"name": "find"' in sources.tools.text
    assert (sources.types, sources.offered.globals, sources.offered.filters) == ({}, frozenset(), frozenset())


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": Prompt(static=RULES + "{{ tags | join(', ') }}"), "variables": {"tags": {"b", "a"}}},
        {
            "prompt": Prompt(static=RULES + "{% for k, v in m.items() %}{{ k }}{% endfor %}"),
            "variables": {"m": {"a": 1}},
        },
        {
            "prompt": Prompt(static=RULES + "{{ m }} {{ m | tojson }}"),
            "variables": {"m": {"b": 1, "a": frozenset("xy")}},
        },
        {"prompt": Prompt(static=RULES + "one  \r\ntwo\t\r\n")},
        {"prompt": Prompt(static=RULES, semi_static="{{ news }}"), "semi_static": lambda: {"news": "none"}},
        {"prompt": Prompt(static=RULES, session="{{ customer_name }} <{{ email }}>", turn="{{ now }}")},
        {"prompt": Prompt(static=RULES + "{{ motto | default('') }}")},
        {"tools": [find]},
        {"prompt": Prompt(static="Be brief.")},
    ],
    ids=["set", "dict", "object", "white space", "semi-static", "later layers", "optional", "tools", "short"],
)
def test_what_the_runtime_makes_stable_is_no_finding(changes: Mapping[str, Any]):
    assert findings_in([agent(**changes)]) == ()


def test_the_reference_agents_and_examples_have_no_finding_that_is_an_error():
    root = Path(__file__).parents[2]
    prompts = [path for path in (root / "prompts" / "review").iterdir() if path.is_dir()]
    assert prompts
    for path in prompts:
        found = findings_in([agent(prompt=Prompt.from_dir(path))])
        assert [each for each in found if each.severity == "error"] == []


def test_inline_text_is_found_at_its_line_in_the_python_file():
    (found,) = findings_in([agent(prompt=Prompt(static=RULES, session=COUNTED))])
    assert (found.code, Path(found.place.path).name, found.place.line) == ("PC057", Path(__file__).name, AT_COUNTED)
    assert (found.place.column, found.agent, found.layer) == (17, "clerk", "session")


def test_text_that_is_written_nowhere_is_called_by_agent_and_section():
    text = "STEP {{ STEP_NUMBER }} UNHURRIEDLY".lower()
    (found,) = findings_in([agent(prompt=Prompt(static=RULES, session=text))])
    assert (found.code, found.place.path, found.place.line) == ("PC057", "clerk, section session", 1)


def test_a_template_of_a_directory_is_found_in_its_file(tmp_path: Path):
    (tmp_path / "static.j2").write_text(RULES)
    (tmp_path / "session.j2").write_text("Hello.\n\nStep {{ step_number }}.\n")
    (found,) = findings_in([agent(prompt=Prompt.from_dir(tmp_path))])
    assert (found.code, found.place.path, found.place.line) == ("PC057", str(tmp_path / "session.j2"), 3)


def test_a_comment_in_the_template_ignores_a_finding():
    kept = "Step {{ step_number }}.{# agentcache: ignore PC057 one step a session #}"
    assert findings_in([agent(prompt=Prompt(static=RULES, session=kept))]) == ()


def test_a_strict_declaration_is_refused_with_every_finding():
    prompt = Prompt(static=RULES, session=COUNTED)
    assert agent(prompt=prompt).strict is False
    with pytest.raises(MistakesFound, match="agent 'clerk': a mistake in its prompt") as raised:
        agent(prompt=prompt, strict=True)
    (found,) = raised.value.found
    assert (found.code, found.name, found.severity) == ("PC057", "volatile-in-session-layer", "error")
    assert (Path(found.path).name, found.line) == (Path(__file__).name, AT_COUNTED)
    assert found.message in str(raised.value)
    assert found.fix in str(raised.value)
    assert isinstance(raised.value, DeclarationError)


def test_a_strict_agent_of_a_team_is_linted_with_what_the_team_shares():
    team = Team(name="t", model="claude-sonnet-5-5", prompt=Prompt(static=RULES))
    assert team.agent(name="clerk", strict=True).strict
    with pytest.raises(MistakesFound, match="PC057"):
        team.agent(name="clerk", prompt=Prompt(session=COUNTED), strict=True)


def test_warnings_do_not_refuse_a_declaration():
    wordy = agent(prompt=Prompt(static=RULES, session=f"You speak to {{{{ who }}}}.\n\n{RULES}"), strict=True)
    assert [(finding.code, finding.severity) for finding in refuse_mistakes(wordy)] == [("PC055", "warning")]


def test_an_agent_value_is_linted_once(monkeypatch: pytest.MonkeyPatch):
    linted: list[int] = []
    real = own_agents.lint_own

    def counting(sources: Any) -> Any:
        linted.append(len(sources))
        return real(sources)

    monkeypatch.setattr(agent_lint, "lint_own", counting)
    clerk = agent(strict=True)
    refuse_mistakes(clerk)
    refuse_mistakes(clerk)
    assert linted == [1]
