"""A team's agents begin with the same bytes, and agents that could and do not are told so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from agentcache import Agent, DeclarationError, MissingVariable, Prompt, Section, Team, tool
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.canonical import json_text
from agentcache.prompt.layout import lay_out
from agentcache.prompt.sections import Stability
from agentcache.runtime.sharing import unshared

RULES = "Answer briefly and cite the line that you mean. " * 100
MODEL = "claude-sonnet-5-5"


@tool
def search(words: str) -> str:
    """Search the archive."""
    return words


@tool
def read(path: str) -> str:
    """Read a file."""
    return path


@tool
def apply(patch: str) -> str:
    """Apply a patch."""
    return patch


class Verdict(BaseModel):
    sound: bool


def crew(**changes) -> Team:
    declared = {"name": "crew", "model": MODEL, "prompt": Prompt(static=RULES), "tools": [search, read]}
    return Team(**{**declared, **changes})


def static_texts(agent) -> list[str]:
    return [section.text for section in agent.renderer.render(Stability.STATIC, agent.variables)]


def laid_out(agent):
    return lay_out(
        facts=agent.facts,
        tools=[each.definition() for each in agent.toolbox.values()],
        system=agent.renderer.render(Stability.STATIC, agent.variables),
        messages=[{"role": "user", "content": "go"}],
        shared_tools=len(agent.shared_tools),
    )


# ---------------------------------------------------------------------------------------------------- one byte order


def test_the_teams_tools_lead_and_each_part_is_in_the_order_of_names():
    agent = crew(tools=[search, read]).agent(name="fixer", tools=[apply])
    assert [each.name for each in agent.tools] == ["read", "search", "apply"]
    assert list(agent.toolbox) == ["read", "search", "apply"]


def test_the_teams_sections_lead_and_every_agent_sends_them_alike():
    team = crew(prompt=Prompt(static=f"You work for {{{{ company }}}}. {RULES}"), variables={"company": "Acme"})
    planner = team.agent(name="planner", prompt=Prompt(static="You plan.", session="About {{ topic }}."))
    judge = team.agent(
        name="judge", prompt=Prompt(static="You judge {{ what }}."), variables={"what": "plans"}, output=Verdict
    )
    first, second = static_texts(planner), static_texts(judge)
    assert first[0] == second[0] == f"You work for Acme. {RULES}".strip()
    assert [first[1], second[1]] == ["You plan.", "You judge plans."]
    assert judge.output is Verdict


def test_agents_of_a_team_share_the_prefix_up_to_the_end_of_its_sections():
    team = crew()
    first, second = (laid_out(team.agent(name=name, prompt=Prompt(static=f"You are {name}."))) for name in ("a", "b"))
    alike = [one.prefix_digest == other.prefix_digest for one, other in zip(first.blocks, second.blocks, strict=True)]
    assert alike == [True, True, True, False, False]


def test_a_tool_given_to_team_and_agent_is_sent_once_and_in_the_teams_place():
    agent = crew(tools=[search]).agent(name="fixer", tools=[read, search])
    assert [each.name for each in agent.tools] == ["search", "read"]


def test_an_agent_can_be_changed_with_replace_and_keeps_its_order():
    agent = crew().agent(name="fixer", tools=[apply])
    assert [each.name for each in replace(agent, name="other").tools] == ["read", "search", "apply"]


def test_prompts_of_directories_are_joined_with_their_includes(tmp_path: Path):
    for name, text in (("house", "{% include 'shared/rules.j2' %}"), ("judge", "Judge.")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "static.j2").write_text(text)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "rules.j2").write_text("Be fair.")
    team = crew(prompt=Prompt.from_dir(tmp_path / "house"))
    assert static_texts(team.agent(name="judge", prompt=Prompt.from_dir(tmp_path / "judge"))) == ["Be fair.", "Judge."]


# ------------------------------------------------------------------------------------------------------- known ends


def test_the_planner_knows_from_the_first_call_on_where_the_prompts_part():
    layout = laid_out(crew().agent(name="a", prompt=Prompt(static="You are a.")))
    kept = plan(layout, crew().agent(name="a").facts, policy="auto").kept
    assert [(point.where, point.reason) for point in kept][:2] == [
        ("system[0]", "end of the shared sections"),
        ("system[1]", "end of the static layer"),
    ]


def test_with_tools_of_its_own_an_agent_parts_behind_the_teams_tools():
    long = [
        tool(name=f"tool_{place}", description=f"Tool {place} reads a part of the archive. " * 40)(search.original)
        for place in range(4)
    ]
    agent = crew(tools=long).agent(name="fixer", tools=[apply])
    layout = laid_out(agent)
    assert [block.where for block in layout.blocks if block.parting] == ["tools[3]"]
    assert plan(layout, agent.facts, policy="auto").kept[0].reason == "end of the shared tools"


def test_a_last_section_that_is_empty_leaves_the_parting_to_the_one_before():
    team = crew(prompt=Prompt(static=[RULES, "{% if motto %}{{ motto }}{% endif %}"]), variables={"motto": ""})
    layout = laid_out(team.agent(name="a", prompt=Prompt(static="You are a.")))
    assert [block.section for block in layout.blocks if block.parting] == ["crew.static_1"]


# -------------------------------------------------------------------------------------------------------- refusals


def test_a_section_that_changes_is_refused():
    with pytest.raises(DeclarationError, match=r"team 'crew': section 'session' is not static"):
        crew(prompt=Prompt(session="Hello {{ name }}"))


def test_a_shared_section_needs_its_variables_from_the_team():
    with pytest.raises(MissingVariable, match="company"):
        crew(prompt=Prompt(static="For {{ company }}."))


def test_a_variable_of_the_team_cannot_have_another_value_in_an_agent():
    team = crew(prompt=Prompt(static="For {{ company }}."), variables={"company": "Acme"})
    with pytest.raises(DeclarationError, match=r"variable 'company' is the team's already"):
        team.agent(name="a", variables={"company": "Other"})


@pytest.mark.parametrize("template", ["{{ role | default('x') }}", "{% if role %}yes{% endif %}"])
def test_an_agents_variable_that_changes_a_shared_section_is_refused(template):
    team = crew(prompt=Prompt(static=[template.replace("if role", "if role is defined"), RULES]))
    with pytest.raises(DeclarationError, match="its own variables change the sections of team 'crew'"):
        team.agent(name="a", variables={"role": "judge"})


def test_another_tool_of_a_teams_name_is_refused():
    other = tool(name="read")(search.original)
    with pytest.raises(DeclarationError, match="two tools are named 'read'"):
        crew().agent(name="a", tools=[other])


# -------------------------------------------------------------------------------------------------------- unshared


def alone(name, *static, tools=(search, read), **options):
    return Agent(name=name, model=options.pop("model", MODEL), prompt=Prompt(static=static), tools=tools, **options)


def test_a_team_that_shares_what_it_can_is_told_nothing():
    team = crew()
    assert unshared([team.agent(name=name, prompt=Prompt(static=f"You are {name}.")) for name in "abc"]) == []


def test_tools_of_ones_own_keep_the_text_behind_them_from_being_shared():
    team = crew()
    [finding] = unshared([team.agent(name="a"), team.agent(name="b"), team.agent(name="c", tools=[apply])])
    assert (finding.cause, finding.where, finding.agents) == ("tools", "tools[2]", ("a", "c"))
    assert finding.sections == ("crew.static",)
    assert "'apply' of c stands before all text" in finding.message


def test_a_section_of_ones_own_in_front_of_a_common_one_is_told_with_the_tokens_lost():
    rules, me = Section(name="rules", template=RULES), Section(name="me", template="You are a.")
    first, second, third = alone("a", rules), alone("b", me, rules), alone("c", me, rules)
    [finding] = unshared([first, second, third])
    assert (finding.cause, finding.where) == ("order", "system[0]")
    assert finding.agents == ("a", "b", "c")
    assert finding.lost_tokens > 512
    assert "section 'me' of b stands in front of it" in finding.message


def test_other_variables_in_front_of_a_common_section_are_told():
    sections = (Section(name="who", template="You are {{ name }}."), Section(name="rules", template=RULES))
    agents = [alone(name, *sections, variables={"name": name}) for name in ("a", "b")]
    assert [(finding.cause, finding.sections) for finding in unshared(agents)] == [("variables", ("rules",))]


def test_another_output_parts_agents_in_front_of_the_system_prompt():
    [finding] = unshared([alone("a", RULES), alone("b", RULES, output=Verdict)])
    assert (finding.cause, finding.where) == ("output", "output_config.format")


@pytest.mark.parametrize(
    "other",
    [
        alone("b", "Something else. " * 500),
        alone("b", "Something else.", "Short.", tools=()),
        alone("b", RULES, model="claude-haiku-5-5", tools=()),
    ],
    ids=["other text", "below the minimum", "another model"],
)
def test_nothing_is_told_where_nothing_could_be_shared(other):
    assert unshared([alone("a", "Short.", RULES, tools=()), other]) == []


def test_findings_are_plain_values():
    [finding] = unshared([alone("a", RULES), alone("b", "Me.", RULES)])
    assert json_text(finding.to_json()).startswith('{"agents":["a","b"],"cause":"order"')
