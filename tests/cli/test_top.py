"""`agentcache top`: once in a pipe, live on a terminal, on a ledger that a run writes meanwhile."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import Result

from agentcache.accounting.live import LiveRuns
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.cli.top import look
from agentcache.stores.opening import open_ledger
from tests.postgresql import POSTGRES_URL, need_postgresql

Cli = Callable[..., Result]


def run(run_id: str, name: str, parent: str | None, at: float) -> RunRecord:
    return RunRecord(run_id=run_id, parent_run_id=parent, name=name, agent=None, started_at=at)


def call(call_id: str, run_id: str, at: float) -> CallRecord:
    usage = Usage(cache_read_tokens=900, output_tokens=10)
    return CallRecord(
        call_id=call_id, run_id=run_id, agent="clerk", model="claude-sonnet-5-5", sent_at=at, ended_at=at, usage=usage
    )


async def write(url: str, *rows: RunRecord | CallRecord) -> None:
    ledger = await open_ledger(url)
    for row in rows:
        await (ledger.start_run(row) if isinstance(row, RunRecord) else ledger.add_call(row))
    await ledger.close()


@pytest.fixture
def ledger_db(database_url: str) -> str:
    """A ledger in which a workflow has been under way for half a minute."""
    now = time.time()
    rows = run("top", "review", None, now - 30), run("below", "clerk\x1b[2J", "top", now - 30)
    asyncio.run(write(database_url, *rows, call("call_1", "below", now - 2)))
    return database_url


def test_in_a_pipe_it_is_one_plain_table(cli: Cli, ledger_db: str) -> None:
    for words in ([], ["--once"]):
        result = cli("top", "--db", ledger_db, *words)
        assert result.exit_code == 0, result.output
        assert "\nreview " in result.stdout
        assert r"  clerk\x1b[2J" in result.stdout
        assert "\x1b" not in result.stdout


def test_a_ledger_that_is_not_there_is_said_and_not_made(cli: Cli, tmp_path: Path) -> None:
    result = cli("top", "--db", str(tmp_path / "none.db"))
    assert result.exit_code == 2
    assert "there is no ledger at" in result.stderr
    assert not (tmp_path / "none.db").exists()


async def test_each_look_adds_what_came_and_a_run_from_before_the_window_is_whole(database_url: str) -> None:
    now = time.time()
    await write(database_url, run("old", "review", None, now - 9000), run("below", "clerk", "old", now - 9000))
    await write(database_url, call("early", "below", now - 8000), run("past", "greet", None, now - 9000))
    ledger = await open_ledger(database_url)
    runs = LiveRuns(window_s=3600)
    assert (await look(ledger, runs, now=now)).rows == ()  # no sign of it within the window
    await ledger.add_call(call("late", "below", now))
    view = await look(ledger, runs, now=now + 1)
    assert [(row.name, row.sums.calls) for row in view.rows] == [("review", 2), ("clerk", 2)]
    await ledger.finish_run("below", ended_at=now + 2, status=RunStatus.FINISHED)
    await ledger.finish_run("old", ended_at=now + 2, status=RunStatus.FINISHED)
    assert [row.under_way for row in (await look(ledger, runs, now=now + 2)).rows] == [0, 0]
    assert (await look(ledger, runs, now=now + 100)).rows == ()
    await ledger.close()


def test_a_database_that_the_server_does_not_have_is_said(cli: Cli) -> None:
    asyncio.run(need_postgresql())
    result = cli("top", "--db", POSTGRES_URL.rpartition("/")[0] + "/agentcache_of_nobody")
    assert result.exit_code == 2
    assert "does not exist; make it on the server first" in result.stderr


def test_on_a_terminal_it_follows_what_is_written_until_it_is_interrupted(ledger_db: str) -> None:
    ours, theirs = pty.openpty()
    program = "import sys; from agentcache.cli import main; sys.argv[0] = 'agentcache'; main()"
    words = ["top", "--db", ledger_db, "--interval", "0.1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
    with subprocess.Popen([sys.executable, "-c", program, *words], env=environment, stdout=theirs) as process:
        os.close(theirs)
        seen = _read_until(ours, "review")
        asyncio.run(write(ledger_db, run("second", "newcomer", None, time.time())))
        seen += _read_until(ours, "newcomer")
        process.send_signal(signal.SIGINT)
        seen += _read_to_the_end(ours)
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert "\x1b[2J" not in seen
    assert "\x1b[?25l" in seen  # the cursor is hidden while the table is redrawn


def _read_until(descriptor: int, word: str) -> str:
    seen = ""
    while word not in seen:
        seen += os.read(descriptor, 65536).decode(errors="replace")
        assert len(seen) < 1_000_000, f"{word!r} never came"
    return seen


def _read_to_the_end(descriptor: int) -> str:
    """Read until nobody writes: a process whose terminal is full waits for its reader, and not for signals."""
    seen = b""
    with suppress(OSError):  # what Linux answers when the last writer is gone
        while read := os.read(descriptor, 65536):
            seen += read
            assert len(seen) < 200_000, "it goes on for ever"
    return seen.decode(errors="replace")


def test_help_needs_neither_sdk_nor_database() -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom agentcache.cli import app\n"
        "assert CliRunner().invoke(app, ['top', '--help']).exit_code == 0\n"
        "print(sorted({'anthropic', 'sqlalchemy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found == "[]\n"
