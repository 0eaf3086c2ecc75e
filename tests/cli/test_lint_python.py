"""`agentcache lint` on Python files: read and never run, but where an object is named or `--import` asks for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from agentcache.cli.lint_sources import agents_in_python, is_python_target, lint_python
from agentcache.errors import TargetError

Shell = Callable[..., subprocess.CompletedProcess[str]]

APP = '''\
"""An app whose import leaves a trace."""

from datetime import datetime
from pathlib import Path

from agentcache import Agent, Prompt, tool

Path("ran").write_text("this file was run")


@tool
def find_order(number: int) -> str:
    """Look an order up by its number."""
    return f"order {number}"


RULES = """
You answer questions about orders.
The desk opened at {{ opened }}.
"""

desk = Agent(
    name="desk",
    model="claude-sonnet-5-5",
    prompt=Prompt(static=RULES, session="The basket is {{ colour }}."),
    tools=[find_order],
    variables={"opened": datetime.now().isoformat()},
)


def made():
    return Agent(name="made", model="claude-sonnet-5-5", prompt=Prompt(static=f"It is {datetime.now()}."))


hidden = Agent(name="hidden", model="claude-sonnet-5-5", prompt=[made][0]().prompt)
'''
OPENED = APP.split("\n").index("The desk opened at {{ opened }}.") + 1
MADE = next(number for number, line in enumerate(APP.split("\n"), start=1) if 'name="made"' in line)


@pytest.fixture
def app(team: Path) -> Path:
    (team / "team.py").unlink()
    (team / "app.py").write_text(APP)
    return team


def found(told: Any) -> list[tuple[str, str, int | None]]:
    text = told.stdout if isinstance(told, subprocess.CompletedProcess) else told.output
    return [(item["code"], item["path"], item["line"]) for item in json.loads(text)["findings"]]


@pytest.mark.parametrize("path", ["app.py", "."])
def test_a_file_is_read_and_not_run(shell: Shell, app: Path, path: str):
    told = shell("lint", path, "--format", "json")
    assert not (app / "ran").exists()
    assert found(told) == [("PC001", "app.py", OPENED), ("PC001", "app.py", MADE)]
    assert told.returncode == 1
    assert "agent 'hidden' was not linted" in told.stderr
    assert "name it as app.py:NAME to have it imported" in told.stderr


def test_import_below_a_directory_runs_nothing(shell: Shell, app: Path):
    shell("lint", ".", "--import")
    assert not (app / "ran").exists()


@pytest.mark.parametrize("words", [["app.py:desk"], ["app:desk"], ["app.py", "--import"]], ids=" ".join)
def test_whoever_names_an_object_or_asks_for_it_has_the_file_imported(shell: Shell, app: Path, words: Sequence[str]):
    shell("lint", *words)
    assert (app / "ran").read_text() == "this file was run"


def test_an_imported_agent_is_found_at_its_literal(shell: Shell, app: Path):
    (app / "app.py").write_text(APP.replace("{{ opened }}", "{{ opened }} for {{ customer_email }}"))
    told = shell("lint", "app.py:desk", "--format", "json")
    assert "customer_email" in told.stderr  # the runtime refuses it when the agent is declared
    (app / "app.py").write_text(APP.replace("The basket is", "{{ step_number }} The basket is"))
    told = shell("lint", "app.py:desk", "--format", "json")
    line = next(at for at, text in enumerate(APP.split("\n"), start=1) if "The basket is" in text)
    assert ("PC057", "app.py", line) in found(told)


def test_a_comment_in_the_file_and_one_in_the_template_ignore_a_finding(shell: Shell, app: Path):
    kept = APP.replace('name="made"', 'name="made" ').replace(
        "    return Agent(", "    # agentcache: ignore PC001 one run a day\n    return Agent("
    )
    (app / "app.py").write_text(
        kept.replace("opened }}.", "opened }}.{# agentcache: ignore PC001 it restarts daily #}")
    )
    told = shell("lint", "app.py", "--format", "json")
    assert found(told) == []
    assert told.returncode == 0


def test_a_prompt_directory_of_an_agent_is_found_beside_its_file(app: Path, shell: Shell):
    prompts = app / "service" / "prompts" / "desk"
    prompts.mkdir(parents=True)
    (prompts / "static.j2").write_text("Rules.\nAsk {{ colour }}.\n")
    (prompts / "session.j2").write_text("The basket is {{ colour }}.\n")
    (app / "service" / "app.py").write_text(
        "from agentcache import Agent, Prompt\n"
        'desk = Agent(name="desk", model="claude-sonnet-5-5", prompt=Prompt.from_dir("prompts/desk"))\n'
    )
    told = shell("lint", "service/app.py", "--format", "json")
    assert ("PC005", "service/prompts/desk/static.j2", 2) in found(told)


def test_agents_of_one_file_are_linted_together(app: Path):
    (app / "two.py").write_text(
        "from agentcache import Agent, Prompt\n"
        "one = Agent(name='one', model='claude-sonnet-5-5', prompt=Prompt(static='A'))\n"
        "two = Agent(name='two', model='claude-sonnet-5-5', prompt=Prompt(static='B'))\n"
    )
    read = agents_in_python([app / "two.py", app / "app.py"])
    assert [[agent.agent for agent in group] for group in read.groups] == [["one", "two"], ["desk", "made"]]


def test_installed_packages_and_hidden_folders_are_passed_over(app: Path):
    for folder in (".hidden", "site-packages", "node_modules"):
        (app / folder).mkdir()
        (app / folder / "app.py").write_text(APP)
    assert [len(group) for group in agents_in_python([app]).groups] == [2]


@pytest.mark.parametrize(
    "text",
    ["from agentcache import Agent\nAgent(name=", "from agentcache import Agent\n\tx = 1", "\x00 agentcache Agent"],
)
def test_a_file_that_is_no_python_is_told_and_stops_nothing(app: Path, text: str):
    (app / "broken.py").write_text(text)
    read = lint_python([app])
    assert read.agents == 2
    assert [(unread.path.rpartition("/")[2], unread.agent) for unread in read.unread] == [
        ("app.py", "hidden"),
        ("broken.py", None),
    ]


def test_what_is_not_there_is_an_error(cli: Callable[..., Result], app: Path):
    with pytest.raises(TargetError, match=r"cannot read nowhere\.py"):
        lint_python(["nowhere.py"])
    told = cli("lint", "app.py:nobody")
    assert told.exit_code == 2


@pytest.mark.parametrize(
    ("path", "is_python"),
    [("app.py", True), ("app.py:desk", True), ("pkg.mod:desk", True), ("prompts", False), ("a/static.j2", False)],
)
def test_what_names_python(app: Path, path: str, is_python: bool):
    assert is_python_target(path) is is_python
