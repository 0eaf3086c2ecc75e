"""Ctrl-C: the run is cancelled, the ledger is written, the shell sees 130."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


@pytest.fixture
def interrupted(team: Path) -> subprocess.CompletedProcess[str]:
    """A run that Ctrl-C ended while it waited, after its first call."""
    (team / "waits.py").write_text(WAITING)
    command = [
        sys.executable,
        "-c",
        "from agentcache.cli import main; main()",
        "run",
        "waits.py:waits",
        "--emulate",
        "--json",
    ]
    process = subprocess.Popen(command, cwd=team, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (team / "waiting").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def test_ctrl_c_ends_with_130_and_says_what_was_spent(
    interrupted: subprocess.CompletedProcess[str], team: Path
) -> None:
    assert interrupted.returncode == 130, interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    body = json.loads(interrupted.stdout)
    assert body["error"] == "cancelled"
    assert body["report"]["total"]["calls"] == 1


def test_the_ledger_has_the_cancelled_run_and_its_call(
    interrupted: subprocess.CompletedProcess[str], team: Path
) -> None:
    command = [
        sys.executable,
        "-c",
        "from agentcache.cli import main; main()",
        "report",
        "--format",
        "json",
        "--by",
        "run",
    ]
    report = json.loads(subprocess.run(command, cwd=team, check=True, capture_output=True, text=True).stdout)

    assert [(row["name"], row["calls"]) for row in report["rows"]] == [("waits", 1)]
