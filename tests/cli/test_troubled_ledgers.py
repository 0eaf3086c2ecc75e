"""What reports say of a ledger that is damaged, locked, newer or older: a sentence, exit code 2, and nothing lost."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from typer.testing import Result

from agentcache.stores import database_errors
from agentcache.stores.migrations import MIGRATIONS
from agentcache.stores.opening import open_ledger
from tests.stores.test_troubled_files import CALL, RUN, made_by

Cli = Callable[..., Result]
CALLS = 100
READERS = [("report",), ("report", "--by", "layer"), ("report", "--by", "tool"), ("top", "--once")]


@pytest.fixture
def ledger_db(database_url: str) -> str:
    """A ledger with a run and some calls."""
    asyncio.run(_fill(database_url))
    return database_url


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a file, which is copied and stays as it is."""
    path = tmp_path_factory.mktemp("filled") / "file.db"
    asyncio.run(_fill(str(path)))
    return path


@pytest.fixture
def ledger_file(filled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(filled, tmp_path))


async def _fill(url: str) -> None:
    ledger = await open_ledger(url)
    await ledger.start_run(RUN)
    for number in range(CALLS):
        await ledger.add_call(replace(CALL, call_id=f"call_{number}"))
    await ledger.close()


def _told(result: Result) -> str:
    """Return the one sentence that a command failed with."""
    assert (result.exit_code, result.stdout) == (2, "")
    (sentence,) = result.stderr.splitlines()
    return sentence


def _calls(cli: Cli, url: str) -> int:
    result = cli("report", "--db", url, "--format", "json")
    assert result.exit_code == 0, result.stderr
    count: int = json.loads(result.stdout)["total"]["calls"]
    return count


# --- damaged ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", READERS)
@pytest.mark.parametrize("kept", [50, 1000, 20_000])
def test_a_file_that_was_cut_off_in_the_middle_of_a_page(cli: Cli, ledger_file: Path, kept: int, words: tuple[str]):
    half = ledger_file.read_bytes()[:kept]
    ledger_file.write_bytes(half)

    assert "file.db: cannot open the ledger: database disk image is malformed; it is damaged; move it away" in _told(
        cli(*words, "--db", str(ledger_file))
    )
    assert ledger_file.read_bytes() == half


def test_a_file_whose_rows_alone_are_damaged(cli: Cli, ledger_file: Path):
    with closing(sqlite3.connect(ledger_file)) as file:
        (root,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'calls'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
    whole = ledger_file.read_bytes()
    garbled = whole[: (root - 1) * size] + b"\xff" * size + whole[root * size :]
    ledger_file.write_bytes(garbled)

    assert "malformed; it is damaged; move it away" in _told(cli("report", "--db", str(ledger_file)))
    assert ledger_file.read_bytes() == garbled


@pytest.mark.parametrize("words", READERS)
def test_an_empty_file_is_no_ledger_in_which_nothing_was_spent(cli: Cli, tmp_path: Path, words: tuple[str]):
    path = tmp_path / "empty.db"
    path.touch()

    assert "there is no ledger at" in _told(cli(*words, "--db", str(path)))
    assert path.read_bytes() == b""


def test_a_file_that_is_no_database(cli: Cli, tmp_path: Path):
    path = tmp_path / "letter.db"
    path.write_text("Dear all, " * 500)

    assert "it is no SQLite database; move it away, or name another file" in _told(cli("report", "--db", str(path)))
    assert path.read_text() == "Dear all, " * 500


# --- locked -----------------------------------------------------------------------------------------------------------

_HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute(f"PRAGMA {sys.argv[2]}")
other.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def _held(path: Path, pragma: str) -> Iterator[None]:
    """Let another process keep a file locked."""
    words = [sys.executable, "-c", _HOLD, str(path), pragma]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate()


@pytest.mark.parametrize("words", READERS)
@pytest.mark.parametrize("pragma", ["journal_mode = DELETE", "locking_mode = EXCLUSIVE"])
def test_a_file_that_another_program_keeps_for_itself(
    cli: Cli, ledger_file: Path, monkeypatch: pytest.MonkeyPatch, pragma: str, words: tuple[str]
):
    monkeypatch.setattr(database_errors, "BUSY_TIMEOUT_S", 0.05)
    with _held(ledger_file, pragma):
        told = _told(cli(*words, "--db", str(ledger_file)))

    assert "file.db: cannot open the ledger: database is locked; another program has kept it locked" in told
    assert _calls(cli, str(ledger_file)) == CALLS


@pytest.mark.parametrize("words", READERS)
def test_a_file_that_another_program_is_writing_is_read(cli: Cli, ledger_file: Path, words: tuple[str]):
    with _held(ledger_file, "user_version"):
        assert cli(*words, "--db", str(ledger_file)).exit_code == 0
        assert _calls(cli, str(ledger_file)) == CALLS


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("words", READERS)
def test_a_table_that_another_session_keeps_for_itself(
    cli: Cli, ledger_db: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str]
):
    monkeypatch.setattr(database_errors, "BUSY_TIMEOUT_S", 0.05)
    engine = create_async_engine(ledger_db)
    with asyncio.Runner() as runner:
        other = runner.run(engine.connect().start())
        runner.run(other.execute(text("LOCK TABLE runs, calls, tool_calls IN ACCESS EXCLUSIVE MODE")))
        told = _told(cli(*words, "--db", ledger_db))
        runner.run(other.close())
        runner.run(engine.dispose())

    assert "canceling statement due to lock timeout; another program has kept it locked" in told
    assert _calls(cli, ledger_db) == CALLS


# --- of another version -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", READERS)
def test_a_newer_ledger_is_named_and_left_as_it_is(cli: Cli, ledger_db: str, words: tuple[str]):
    async def newer() -> None:
        ledger_url = ledger_db if "://" in ledger_db else None
        statement = "INSERT INTO schema_migrations VALUES ('9999_of_next_year', 1.0)"
        if ledger_url is None:
            with closing(sqlite3.connect(ledger_db)) as file, file:
                file.execute(statement)
            return
        engine = create_async_engine(ledger_url)
        async with engine.begin() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(newer())
    told = _told(cli(*words, "--db", ledger_db))

    assert f"{ledger_db.rpartition('/')[2]}: the ledger was written by a newer agentcache" in told
    assert told.endswith("(it has the schema change '9999_of_next_year'); upgrade agentcache, or name another database")


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS) + 1))
def test_a_ledger_of_every_earlier_version_is_reported(cli: Cli, tmp_path: Path, steps: int):
    path = tmp_path / "old.db"
    made_by(path, steps)
    before = tmp_path / "before.db"
    shutil.copy(path, before)

    for words in READERS:
        assert cli(*words, "--db", str(path)).exit_code == 0
    assert _calls(cli, str(path)) == 1
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(before)) as old:
        query = "SELECT call_id, run_id, agent, model, sent_at, uncached_input_tokens, cost_usd FROM calls"
        assert new.execute(query).fetchall() == old.execute(query).fetchall()
