"""`agentcache warm` against the loopback emulator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Cli = Callable[..., Result]


def test_a_prefix_is_written_and_its_price_is_told(cli: Cli) -> None:
    result = cli("warm", "team.py:support", "--emulate", "--json")

    assert result.exit_code == 0, result.output
    [warmed] = json.loads(result.stdout)["warmed"]
    assert warmed["agent"] == "support"
    assert warmed["cache_write_5m_tokens"] > 1000
    assert float(warmed["cost_usd"]) > 0
    assert "Not Claude" in result.stderr


def test_the_ledger_has_it_as_a_call_of_its_agent(cli: Cli) -> None:
    cli("warm", "team.py:support", "--emulate")
    [row] = json.loads(cli("report", "--format", "json").stdout)["rows"]

    assert (row["agent"], row["calls"], row["output_tokens"]) == ("support", 1, 0)
    assert row["cache_write_5m_tokens"] > 1000


def test_an_agent_that_cannot_be_warmed_is_an_error_that_says_why(cli: Cli) -> None:
    result = cli("warm", "team.py:judge", "--emulate")

    assert result.exit_code == 2
    assert "'judge' cannot be warmed: the API takes no output format" in result.stderr


def test_of_a_workflow_every_agent_that_can_be_is_warmed(cli: Cli) -> None:
    result = cli("warm", "team.py:both", "--emulate", "--json")

    body = json.loads(result.stdout)
    assert [each["agent"] for each in body["warmed"]] == ["support"]
    assert {each["agent"] for each in body["refused"]} == {"greeter", "judge"}


def test_session_variables_belong_to_the_prefix(cli: Cli) -> None:
    Path("care.py").write_text(
        "from agentcache import Agent, Prompt\n"
        "care = Agent(name='care', model='claude-sonnet-5-5', prompt=Prompt(static='Be kind. ' * 900,"
        " session='The customer is {{ customer }}. ' * 50))\n"
    )

    def written(*words: str) -> int:
        [warmed] = json.loads(cli("warm", "care.py:care", "--emulate", "--json", *words).stdout)["warmed"]
        return int(warmed["cache_write_5m_tokens"])

    assert 0 < written() < written("--session", "customer=Ana")


def test_without_a_key_it_says_what_to_set(cli: Cli) -> None:
    result = cli("warm", "team.py:support")

    assert result.exit_code != 0
    assert "ANTHROPIC_API_KEY" in result.stderr
