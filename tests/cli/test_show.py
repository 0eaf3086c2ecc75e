from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from typer.testing import Result

Cli = Callable[..., Result]


def test_the_picture_has_layers_tokens_breakpoints_and_prices(cli: Cli) -> None:
    result = cli("show", "team.py:support")

    assert result.exit_code == 0, result.output
    assert "support  claude-sonnet-5-5  cacheable from" in result.stdout
    assert "system[0]" in result.stdout
    assert "█" in result.stdout
    assert "first call $" in result.stdout


def test_the_json_form_prices_the_prefix(cli: Cli) -> None:
    [agent] = json.loads(cli("show", "team.py:support", "--format", "json").stdout)["agents"]

    prefix = agent["prefix"]
    assert prefix["tokens"] > agent["minimum_prefix_tokens"]
    assert Decimal(prefix["warm_usd"]) < Decimal(prefix["uncached_usd"]) < Decimal(prefix["first_usd"])
    assert {block["section"] for block in agent["blocks"]} >= {"static"}
    assert agent["plan"]["kept"]


def test_a_prefix_below_the_minimum_costs_the_same_warm_and_cold_and_says_why(cli: Cli) -> None:
    result = cli("show", "team.py:judge")
    [agent] = json.loads(cli("show", "team.py:judge", "--format", "json").stdout)["agents"]

    assert agent["plan"]["kept"] == []
    assert agent["prefix"]["first_usd"] == agent["prefix"]["warm_usd"] == agent["prefix"]["uncached_usd"]
    assert "refused" in result.stdout


def test_variables_are_given_or_refused_by_name(cli: Cli) -> None:
    given = cli("show", "team.py:greeter", "--session", "customer=Ana", "--turn", "daytime=noon")
    missing = cli("show", "team.py:greeter")

    assert given.exit_code == 0, given.output
    assert missing.exit_code == 2
    assert "'customer'" in missing.stderr


def test_examples_of_the_prompt_stand_in_and_are_named(cli: Cli) -> None:
    folder = Path("prompts/care")
    folder.mkdir(parents=True)
    (folder / "static.j2").write_text("Be kind.")
    (folder / "session.j2").write_text("The customer is {{ customer }}.")
    (folder / "agent.toml").write_text('[variables.session]\ncustomer = "Ana"\n')
    Path("care.py").write_text(
        "from agentcache import Agent, Prompt\n"
        "care = Agent(name='care', model='claude-haiku-5-5', prompt=Prompt.from_dir('prompts/care'))\n"
    )

    result = cli("show", "care.py:care")

    assert result.exit_code == 0, result.output
    assert "examples stand in for: customer='Ana'" in result.stdout


def test_a_workflow_shows_the_agents_of_its_module(cli: Cli) -> None:
    words = ("--session", "customer=Ana", "--turn", "daytime=noon", "--format", "json")
    agents = json.loads(cli("show", "team.py:both", *words).stdout)["agents"]

    assert [agent["agent"] for agent in agents] == ["support", "greeter", "judge"]


def test_a_function_that_returns_an_agent_is_asked_for_it(cli: Cli) -> None:
    Path("made.py").write_text("from team import judge\ndef make(): return judge\ndef needs(x): return judge\n")

    assert json.loads(cli("show", "made.py:make", "--format", "json").stdout)["agents"][0]["agent"] == "judge"
    refused = cli("show", "made.py:needs")
    assert refused.exit_code == 2
    assert "needs x" in refused.stderr


CREW = """
from agentcache import Agent, Prompt, Team, workflow

RULES = "Cite the line that you mean. " * 400
crew = Team(name="crew", model="claude-sonnet-5-5", prompt=Prompt(static=RULES))
planner = crew.agent(name="planner", prompt=Prompt(static="You plan."))
judge = crew.agent(name="judge", prompt=Prompt(static="You judge."))
loner = Agent(name="loner", model="claude-sonnet-5-5", prompt=Prompt(static=["You are alone.", RULES]))
empty = Team(name="empty", model="claude-sonnet-5-5", prompt=Prompt(static="Nobody."))

@workflow
async def work(run): ...
"""


def test_a_team_is_drawn_once_and_then_what_each_agent_adds(cli: Cli) -> None:
    Path("crew.py").write_text(CREW)

    shown = cli("show", "crew.py:crew")

    assert shown.exit_code == 0, shown.output
    assert "tokens shared by planner, judge" in shown.stdout
    assert shown.stdout.count("crew.static") == 1
    assert shown.stdout.count("end of the shared sections") == 1
    assert shown.stdout.count("end of the static layer") == 2
    assert "loner" not in shown.stdout
    assert "not shared" not in shown.stdout


def test_the_json_form_of_a_team_counts_what_is_shared(cli: Cli) -> None:
    Path("crew.py").write_text(CREW)

    shown = json.loads(cli("show", "crew.py:crew", "--format", "json").stdout)

    planner, judge = shown["agents"]
    assert shown["team"]["name"] == "crew"
    assert shown["team"]["shared_blocks"] == 1
    assert shown["team"]["shared_tokens"] == planner["blocks"][0]["tokens"] == judge["blocks"][0]["tokens"]
    assert shown["unshared"] == []


def test_agents_that_could_share_a_prefix_and_do_not_are_told_so_with_the_tokens_lost(cli: Cli) -> None:
    Path("crew.py").write_text(CREW)

    shown = cli("show", "crew.py:work")
    [finding] = json.loads(cli("show", "crew.py:work", "--format", "json").stdout)["unshared"]

    assert (finding["agents"], finding["cause"]) == (["planner", "loner"], "order")
    assert f"do not share the {finding['lost_tokens']:,} tokens" in " ".join(shown.stdout.split())


def test_a_team_without_agents_in_its_module_says_what_to_name_instead(cli: Cli) -> None:
    Path("crew.py").write_text(CREW)

    refused = cli("show", "crew.py:empty")

    assert refused.exit_code == 2
    assert "defines no agent of it; name a function that returns one" in refused.stderr
