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
