"""A ledger that is older, newer, half-written, locked or read-only: one clear sentence, and nothing lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from agentcache.accounting.usage import CallRecord, RunRecord, Usage
from agentcache.errors import StoreError
from agentcache.stores import database_errors
from agentcache.stores.migrations import MIGRATIONS, apply_next
from agentcache.stores.opening import open_ledger

RUN = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0)
CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="reviewer",
    model="claude-sonnet-5-5",
    sent_at=2.0,
    usage=Usage(uncached_input_tokens=7),
    cost_usd=Decimal("0.000014"),
)
OLD_RUN = "INSERT INTO runs (run_id, name, started_at, status) VALUES ('run_1', 'review', 1.0, 'running')"
OLD_CALL = """
    INSERT INTO calls (
        call_id, run_id, kind, agent, model, turn, sent_at, attempts, uncached_input_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, cache_read_tokens, output_tokens, parts, cost_usd, plan, section_tokens, prefix_digests,
        found_digests
    ) VALUES (
        'call_1', 'run_1', 'message', 'reviewer', 'claude-sonnet-5-5', 0, 2.0, 1, 7, 0, 0, 0, 0, '[]', '0.000014', '{}',
        '{}', '[]', '[]'
    )
"""


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS) + 1))
async def test_rows_of_every_earlier_version_come_through(tmp_path: Path, steps: int):
    path = tmp_path / "ledger.db"
    made_by(path, steps)

    ledger = await open_ledger(str(path))
    runs, calls = await ledger.runs(), await ledger.calls()
    await ledger.close()

    assert runs == [RUN]
    assert calls == [CALL]


def made_by(path: Path, steps: int) -> None:
    """Make a database as it was after so many steps, with a run and a call in it."""
    engine = create_engine(f"sqlite:///{path}")

    def make(connection: Connection) -> None:
        for _ in range(steps):
            apply_next(connection, now=1.0, migrations=MIGRATIONS[:steps])
        connection.execute(text(OLD_RUN))
        connection.execute(text(OLD_CALL))

    with engine.begin() as connection:
        make(connection)
    engine.dispose()


async def test_what_a_killed_process_was_writing_is_gone_and_all_it_had_committed_is_there(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)
    await ledger.add_call(CALL)
    await ledger.close()
    exit_code = _killed_while_writing(path)

    ledger = await open_ledger(str(path))
    runs, calls = await ledger.runs(), await ledger.calls()
    await ledger.close()

    assert exit_code == -9
    assert (runs, calls) == ([RUN], [CALL])


def _killed_while_writing(path: Path) -> int:
    """Let a process change everything in one transaction and die before it commits; return its exit code."""
    half = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 1')\n"  # dirty pages go to the write-ahead log before the commit
        "c.execute('BEGIN IMMEDIATE')\n"
        "c.execute('DELETE FROM calls')\n"
        "for n in range(500): c.execute(\"INSERT INTO runs VALUES (?,NULL,?,NULL,NULL,1,NULL,'running',NULL)\","
        " (f'half_{n}', 'x' * 4000))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    return subprocess.run([sys.executable, "-c", half, str(path)], check=False, timeout=30).returncode


async def test_a_ledger_that_another_program_keeps_locked_is_read_and_its_writer_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database_errors, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)

    with _locked(path):
        await ledger.close()
        second = await open_ledger(str(path))
        with pytest.raises(StoreError, match=r"ledger\.db: cannot write: .*locked.*end that one first"):
            await second.add_call(CALL)
        assert await second.runs() == [RUN]
    await second.add_call(CALL)
    found = await second.calls()
    await second.close()

    assert found == [CALL]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_file_that_cannot_be_written_says_so(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to the superuser")
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)
    await ledger.close()
    path.chmod(0o444)

    ledger = await open_ledger(str(path))
    with pytest.raises(StoreError, match="check its permissions"):
        await ledger.add_call(replace(CALL, call_id="call_2"))
    assert await ledger.runs() == [RUN]
    await ledger.close()


async def test_a_newer_ledger_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "ledger.db"
    await (await open_ledger(str(path))).close()
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("INSERT INTO schema_migrations VALUES ('9999_of_next_year', 1.0)")
    before = path.read_bytes()

    with pytest.raises(StoreError, match="upgrade agentcache"):
        await open_ledger(str(path))

    assert path.read_bytes() == before


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("table", ["notes (body TEXT)", "schema_migrations (version TEXT)", "runs (run_id TEXT)"])
async def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path, journal: str, table: str):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(f"PRAGMA journal_mode = {journal}")
        theirs.execute(f"CREATE TABLE {table}")
        theirs.commit()
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"theirs\.db: is a database of another program .*name a file of its own"):
        await open_ledger(str(path))

    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["theirs.db"]


async def test_a_database_that_another_program_has_open_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("PRAGMA journal_mode = wal")
        theirs.execute("CREATE TABLE notes (body TEXT)")
        theirs.commit()
        log = path.with_name("theirs.db-wal")
        before = path.read_bytes(), log.read_bytes()
        with pytest.raises(StoreError, match="is a database of another program"):
            await open_ledger(str(path))
        assert (path.read_bytes(), log.read_bytes()) == before


@pytest.mark.parametrize("content", [b"Dear diary, today nothing happened.", b"SQLite", b"x" * 4096])
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes):
    path = tmp_path / "diary.db"
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"diary\.db: cannot open the ledger: it is no SQLite database; move it away"):
        await open_ledger(str(path))

    assert path.read_bytes() == content


async def test_an_empty_file_becomes_a_ledger(tmp_path: Path):
    path = tmp_path / "new.db"
    path.touch()
    await (await open_ledger(str(path))).close()
    assert path.stat().st_size > 0
