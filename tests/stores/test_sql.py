"""The ledger in a real SQLite file: group commits, what survives, other processes, broken files."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.errors import StoreError
from agentcache.stores.database_errors import NotNow
from agentcache.stores.databases import database_at
from agentcache.stores.migrations import MIGRATIONS, apply_next
from agentcache.stores.opening import normal_url, open_ledger
from agentcache.stores.protocols import Ledger
from agentcache.stores.sql import SqlLedger
from agentcache.stores.sqlite_database import SqliteDatabase

RUN = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0)
CALL = CallRecord(
    call_id="call_1", run_id="run_1", agent="reviewer", model="claude-sonnet-5-5", sent_at=2.0, usage=Usage()
)
CALL_WITH_TEXT = replace(CALL, request={"model": "claude-sonnet-5-5"})
"""Rows with texts may be long: they are always written by the thread."""


@contextmanager
def statements_of(ledger: Ledger, note: Callable[[], object] = lambda: None) -> Iterator[list[str]]:
    """Yield what SQLite executes for the ledger's writer, and call `note` where it does."""
    assert isinstance(ledger, SqlLedger)
    database = ledger._database
    assert isinstance(database, SqliteDatabase)
    assert database._connection is not None
    driver = database._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    statements: list[str] = []

    def executed(statement: str) -> None:
        statements.append(statement)
        note()

    driver.set_trace_callback(executed)
    yield statements


async def test_the_ledger_is_there_after_it_was_closed(tmp_path: Path):
    path = str(tmp_path / "ledger.db")
    first = await open_ledger(path)
    await first.start_run(RUN)
    await first.add_call(CALL)
    await first.close()

    second = await open_ledger(f"sqlite:///{path}")

    assert (await second.runs(), await second.calls()) == ([RUN], [CALL])
    await second.close()


async def test_closing_writes_what_is_still_waiting(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    await ledger.start_run(RUN)
    waiting = [asyncio.ensure_future(ledger.add_call(replace(CALL, call_id=f"call_{n}"))) for n in range(50)]
    await asyncio.sleep(0)

    await ledger.close()
    await asyncio.gather(*waiting)

    with closing(sqlite3.connect(tmp_path / "ledger.db")) as raw:
        assert raw.execute("SELECT count(*) FROM calls").fetchone() == (50,)


async def test_closing_tells_of_a_write_that_failed_unheard(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    orphan = asyncio.ensure_future(ledger.add_call(replace(CALL_WITH_TEXT, run_id="run_9")))
    await asyncio.sleep(0)
    orphan.cancel()
    await asyncio.gather(orphan, return_exceptions=True)

    with pytest.raises(StoreError, match="start_run comes first"):
        await ledger.close()


async def test_nothing_is_remembered_of_a_cancelled_writer_once_its_row_is_written(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    assert isinstance(ledger, SqlLedger)
    await ledger.start_run(RUN)
    for call_id in ("call_1", "call_2"):
        orphan = asyncio.ensure_future(ledger.add_call(replace(CALL_WITH_TEXT, call_id=call_id)))
        await asyncio.sleep(0)
        orphan.cancel()
        await asyncio.gather(orphan, return_exceptions=True)
        assert len(ledger._writer._abandoned) == 1
        await ledger.add_call(replace(CALL_WITH_TEXT, call_id=f"{call_id} after"))

        assert ledger._writer._abandoned == set()
    await ledger.close()


async def test_rows_that_come_together_share_a_commit(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    await ledger.start_run(RUN)

    with statements_of(ledger) as statements:
        await asyncio.gather(*(ledger.add_call(replace(CALL, call_id=f"call_{n}")) for n in range(300)))
    await ledger.close()

    assert 1 <= statements.count("COMMIT") <= 3


async def test_rows_that_come_one_by_one_are_written_where_they_come(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    writing = set[int]()
    with statements_of(ledger, note=lambda: writing.add(threading.get_ident())):
        await ledger.start_run(RUN)
        for number in range(3):
            await ledger.add_call(replace(CALL, call_id=f"call_{number}"))
        await ledger.finish_run("run_1", ended_at=3.0, status=RunStatus.FINISHED)

    assert writing == {threading.get_ident()}
    await ledger.close()


async def test_the_event_loop_waits_for_no_other_program_that_writes(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    await ledger.start_run(RUN)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        adding = asyncio.ensure_future(ledger.add_call(CALL))
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert not adding.done()
        other.execute("COMMIT")
        await adding

    assert await ledger.calls() == [CALL]
    await ledger.close()


async def test_what_the_thread_writes_is_left_alone_though_nobody_waits_for_it_any_more(tmp_path: Path):
    database = database_at(normal_url(str(tmp_path / "ledger.db")))
    await database.write(lambda _: None)
    at_work, go_on = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        at_work.set()
        go_on.wait(5)

    writing = asyncio.ensure_future(database.write(slow))
    await asyncio.to_thread(at_work.wait, 5)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)

    with pytest.raises(NotNow):
        database.write_now(lambda _: None)
    go_on.set()
    await database.write(lambda _: None)
    database.write_now(lambda _: None)
    await database.close()


async def test_the_log_is_carried_over_before_a_commit_has_to(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    await ledger.start_run(RUN)
    with statements_of(ledger) as statements:
        for number in range(250):
            await ledger.add_call(replace(CALL, call_id=f"call_{number}"))
            await asyncio.sleep(0)
        await ledger.close()

    assert statements.count("PRAGMA wal_checkpoint(PASSIVE)") == 2


async def test_connections_are_set_up_for_many_readers_and_one_writer(tmp_path: Path):
    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    database = database_at(normal_url(str(tmp_path / "ledger.db")))

    assert await database.read(settings) == await database.write(settings) == ["wal", 1, 1, 30_000]
    await database.close()


async def test_the_tables_can_be_read_by_anyone(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    await ledger.start_run(RUN)
    await ledger.add_call(replace(CALL, cost_usd=Decimal("0.0000001"), plan={"policy": "off", "kept": []}))
    await ledger.close()

    with closing(sqlite3.connect(tmp_path / "ledger.db")) as raw:
        columns = "cost_usd, typeof(cost_usd), typeof(sent_at), typeof(output_tokens), plan, request"
        row = raw.execute(f"SELECT {columns} FROM calls").fetchone()

    assert row == ("0.0000001", "text", "real", "integer", '{"kept":[],"policy":"off"}', None)


WRITER = """
import asyncio, sys
from dataclasses import replace
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.stores.opening import open_ledger

async def main(path, name):
    ledger = await open_ledger(path)
    await ledger.start_run(RunRecord(run_id=name, parent_run_id=None, name=name, agent=None, started_at=1.0))
    call = CallRecord(call_id="", run_id=name, agent=name, model="m", sent_at=2.0, usage=Usage(output_tokens=1))
    for batch in range(10):
        rows = [replace(call, call_id=f"{name}_{batch}_{n}") for n in range(10)]
        await asyncio.gather(*map(ledger.add_call, rows))
    await ledger.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_write_into_one_file_at_once(tmp_path: Path):
    """Four of them, from the first moment on: they make the file and its schema at once, too."""
    path = tmp_path / "ledger.db"
    names = [f"process_{number}" for number in range(4)]

    ended = await asyncio.gather(*(in_another_process(WRITER, path, name) for name in names))

    assert ended == [(0, "")] * 4
    ledger = await open_ledger(str(path))
    assert [len(await ledger.calls(agent=name)) for name in names] == [100] * 4
    await ledger.close()


async def in_another_process(script: str, path: Path, name: str) -> tuple[int | None, str]:
    """Return the exit code and what the process complained of."""
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(path), name), cwd=root, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    return process.returncode, told.decode()


KILLED = """
import asyncio, os, signal, sys
from agentcache.accounting.usage import RunRecord
from agentcache.stores.opening import open_ledger

async def main(path, name):
    ledger = await open_ledger(path)
    await ledger.start_run(RunRecord(run_id=name, parent_run_id=None, name=name, agent=None, started_at=1.0))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_row_survives_a_kill_right_after_its_writer_returned(tmp_path: Path):
    path = tmp_path / "ledger.db"

    ended = await in_another_process(KILLED, path, "run_1")

    assert ended == (-signal.SIGKILL, "")
    ledger = await open_ledger(str(path))
    assert [run.run_id for run in await ledger.runs()] == ["run_1"]
    await ledger.close()


async def test_a_reader_does_not_wait_for_a_writer_of_another_program(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        again = await open_ledger(str(path))
        assert await again.runs() == [RUN]
        await again.close()
        other.execute("ROLLBACK")
    await ledger.close()


async def test_calls_from_before_the_scheduler_were_held_for_nobody_knows_how_long(tmp_path: Path):
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.db")
    with engine.begin() as connection:
        apply_next(connection, now=1.0, migrations=MIGRATIONS[:1])
        connection.execute(text("INSERT INTO runs (run_id, name, started_at, status) VALUES ('r', 'r', 1, 'finished')"))
        connection.execute(
            text(
                "INSERT INTO calls (call_id, run_id, kind, model, turn, sent_at, attempts, parts, plan, "
                "section_tokens, prefix_digests, found_digests) "
                "VALUES ('old', 'r', 'message', 'claude-sonnet-5-5', 1, 2, 1, '[]', '{}', '{}', '[]', '[]')"
            )
        )
    engine.dispose()

    ledger = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    [call] = await ledger.calls()
    await ledger.close()

    assert (call.held_s, call.held_saved_usd) == (None, None)
