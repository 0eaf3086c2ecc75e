"""A small team in a folder of its own, and the command line on it: in this process, and as a process.

And the databases that commands on a ledger are tested on: a real SQLite file, a real PostgreSQL.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentcache.cli import app
from tests.postgresql import KeptDatabases

ROOT = Path(__file__).parents[2]
TEAM = '''
from pathlib import Path

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, tool, workflow


TIMES = 2


class Verdict(BaseModel):
    word: str
    score: float


@tool
async def look_up(order: str) -> str:
    """Look an order up by its number."""
    return f"order {order} is on its way"


support = Agent(
    name="support",
    model="claude-sonnet-5-5",
    prompt=Prompt(static="You help the customers of Acme. " + "Be brief and kind. " * 800),
    tools=[look_up],
)
greeter = Agent(
    name="greeter",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You greet.", session="The customer is {{ customer }}.", turn="It is {{ daytime }}."),
)
judge = Agent(name="judge", model="claude-haiku-5-5", prompt=Prompt(static="You judge."), output=Verdict)


@workflow
async def both(run: Run, word: str, times: int = 1) -> str:
    answers = [await run.ask(support, word) for _ in range(times)]
    return " | ".join(answers)


@workflow
async def measure(run: Run, path: Path) -> dict[str, int]:
    return {"characters": len(path.read_text())}


@workflow
async def broken(run: Run) -> str:
    await run.ask(support, "first")
    return str(1 / 0)


@workflow
async def opaque(run: Run) -> object:
    return Run


def emulated_replies(request):
    content = request["messages"][-1]["content"]
    last = content[-1] if isinstance(content, list) else {"type": "text", "text": content}
    if last["type"] == "tool_result":
        return "it is on its way"
    if "order" in last["text"]:
        return [{"type": "tool_use", "name": "look_up", "input": {"order": "17"}}]
    if "output_config" in request:
        return '{"word": "good", "score": 0.5}'
    return f"heard: {last['text']}"


def calm(request):
    return "calm"


def failing(request):
    raise LookupError("no reply for this")
'''


@pytest.fixture(autouse=True)
def team(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with `team.py` as the working directory, and no setting of agentcache in the environment."""
    for name in [name for name in os.environ if name.startswith("AGENTCACHE_") and name != "AGENTCACHE_SHARED"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # child processes find the package, installed or not
    (tmp_path / "team.py").write_text(TEAM)
    before = set(sys.modules)
    yield tmp_path
    for name in sys.modules.keys() - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(f"{tmp_path}{os.sep}"):
            del sys.modules[name]


@pytest.fixture
def cli() -> Callable[..., Result]:
    """The command line in this process: `cli("run", "team.py:support", "hello")`."""
    runner = CliRunner()

    def invoke(*words: str) -> Result:
        return runner.invoke(app, list(words))

    return invoke


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as a process of its own, with what a shell would see of it."""

    def invoke(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from agentcache.cli import main; main()", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    return invoke


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, kept_databases: KeptDatabases) -> str:
    """What `--db` is given: an empty database."""
    return str(tmp_path / "ledger.db") if request.param == "sqlite" else asyncio.run(kept_databases.bare())
