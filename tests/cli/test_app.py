from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from agentcache.cli.app import COMMANDS as EVERY
from agentcache.version import __version__

Cli = Callable[..., Result]
Shell = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = list(EVERY)


def test_the_version(shell: Shell) -> None:
    assert shell("--version").stdout == f"agentcache {__version__}\n"


def test_help_names_every_command(cli: Cli) -> None:
    result = cli("--help")

    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"  {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says_itself(command: str) -> None:
    deferred = EVERY[command]
    help_ = deferred.loaded(command).help or ""
    assert " ".join(help_.split("\n\n")[0].split()) == deferred.help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_explains_itself(cli: Cli, command: str) -> None:
    result = cli(command, "--help")

    assert result.exit_code == 0
    assert f"Usage: root {command}" in result.stdout
    options = [line.split() for line in result.stdout.splitlines() if line.startswith("  -")]
    assert options
    assert [words for words in options if len(words) < 2] == []


def test_a_misspelt_command_gives_the_right_one(cli: Cli) -> None:
    result = cli("reprot")

    assert result.exit_code == 2
    assert "Did you mean 'report'" in result.stderr


def test_the_traceback_of_an_unexpected_error_can_be_asked_for(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, team: Path
) -> None:
    monkeypatch.setenv("AGENTCACHE_TRACEBACK", "1")

    result = shell("run", "team.py:broken", "--emulate")

    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError" in result.stderr
