"""Ctrl-C: the run is cancelled, the ledger is written, the shell sees 130."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.conftest import ROOT, TEAM

WAITING = """
import asyncio
from pathlib import Path

from team import greeter, support
from agentcache import workflow

@workflow
async def waits(run):
    await run.ask(support, "first")
    Path("waiting").touch()
    await asyncio.sleep(60)
    return "never"

def emulated_replies(request):
    return "ok"
"""


COMMAND_LINE = "from agentcache.cli import main; main()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is interrupted, once for all that is looked at here."""
    folder = tmp_path_factory.mktemp("interrupted")
    (folder / "team.py").write_text(TEAM)
    (folder / "waits.py").write_text(WAITING)
    return folder


@pytest.fixture(scope="module")
def interrupted(folder: Path) -> subprocess.CompletedProcess[str]:
    """A run that Ctrl-C ended while it waited, after its first call."""
    command = [sys.executable, "-c", COMMAND_LINE, "run", "waits.py:waits", "--emulate", "--json"]
    process = subprocess.Popen(
        command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (folder / "waiting").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _environment() -> dict[str, str]:
    """Return this process's environment without settings of agentcache; children find the package, installed or not."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTCACHE_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def test_ctrl_c_ends_with_130_and_says_what_was_spent(interrupted: subprocess.CompletedProcess[str]) -> None:
    assert interrupted.returncode == 130, interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    body = json.loads(interrupted.stdout)
    assert body["error"] == "cancelled"
    assert body["report"]["total"]["calls"] == 1


@pytest.mark.usefixtures("interrupted")
def test_the_ledger_has_the_cancelled_run_and_its_call(cli: Callable[..., Result], folder: Path) -> None:
    told = cli("report", "--db", str(folder / ".agentcache" / "ledger.db"), "--format", "json", "--by", "run")

    assert [(row["name"], row["calls"]) for row in json.loads(told.stdout)["rows"]] == [("waits", 1)]
