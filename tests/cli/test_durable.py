"""`agentcache run --durable-id` and what `agentcache worker` refuses."""

from __future__ import annotations

import json
from collections.abc import Callable

from typer.testing import Result

Cli = Callable[..., Result]


def test_the_same_command_again_returns_what_the_first_one_paid_for(cli: Cli) -> None:
    words = ("run", "team.py:both", "tea", "2", "--emulate=", "--durable-id", "one", "--json")
    first, again = cli(*words), cli(*words)

    assert first.exit_code == 0, (first.output, first.stderr, first.exception)
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert json.loads(again.stdout)["report"]["total"]["calls"] == 2
    assert "it had finished; its result is returned" in again.stderr


def test_the_same_id_for_something_else_is_an_error_that_says_so(cli: Cli) -> None:
    cli("run", "team.py:both", "tea", "--emulate=", "--durable-id", "one")
    result = cli("run", "team.py:both", "coffee", "--emulate=", "--durable-id", "one")

    assert result.exit_code == 2
    assert "durable id 'one' does not stand for 'both' with these arguments" in result.stderr


def test_a_failed_run_goes_on_with_the_same_command(cli: Cli) -> None:
    words = ("run", "team.py:both", "tea", "2", "--emulate=", "--durable-id", "one", "--json")
    failed = cli(*words, "--max-usd", "0.0000001")
    done = cli(*words)

    assert failed.exit_code == 1
    assert "limit" in json.loads(failed.stdout)["error"]
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["report"]["total"]["calls"] == 2


def test_items_are_spread_for_a_durable_run_on_a_server_only(cli: Cli) -> None:
    assert "--durable-id" in cli("run", "team.py:both", "tea", "--emulate=", "--spread").stderr
    result = cli("run", "team.py:both", "tea", "--emulate=", "--durable-id", "one", "--spread")

    assert result.exit_code == 2
    assert "share a PostgreSQL database" in result.stderr


def test_a_worker_needs_a_server_and_an_agent(cli: Cli) -> None:
    alone = cli("worker", "team.py:support")
    nobody = cli("worker", "team.py:nobody", "--db", "postgresql://localhost/test")

    assert (alone.exit_code, nobody.exit_code) == (2, 2)
    assert "workers share a PostgreSQL database with the runs that they serve" in alone.stderr
    assert "has no 'nobody'" in nobody.stderr
