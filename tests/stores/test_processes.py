"""One SQLite ledger and many processes: every acknowledged row is there, once, whatever else happens to the file."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from agentcache.stores.migrations import MIGRATIONS
from agentcache.stores.opening import open_ledger
from tests.stores.test_troubled_files import made_by

PROCESSES = 8
FOREVER = 10**9


@pytest.fixture
def long(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--long"))


@asynccontextmanager
async def writers(
    folder: Path, task: str, path: Path, *, processes: int = PROCESSES, rows: int = 0
) -> AsyncIterator[Any]:
    """Start processes at a task; `folder` gets what each acknowledged. Yields the one that began them."""
    os.makedirs(folder, exist_ok=True)
    command = [sys.executable, "-m", "tests.stores.ledger_writers", task, str(path), str(folder)]
    started = await asyncio.create_subprocess_exec(
        *command, str(processes), str(rows), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


def told(folder: Path) -> list[str]:
    """Return the lines that the processes wrote; one that was killed may have left half a line, which tells nothing."""
    texts = [file.read_text() for file in folder.iterdir() if file.is_file()]
    lines = [line for text in texts for line in text[: text.rfind("\n") + 1].splitlines()]
    assert not [text for text in texts if "RAISED" in text], texts
    return lines


def rows_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [call_id for (call_id,) in ledger.execute("SELECT call_id FROM calls")]


async def test_eight_processes_that_begin_a_ledger_at_once_lose_nothing_while_it_is_read_and_pruned(tmp_path, long):
    path, rows = tmp_path / "ledger.db", 2000 if long else 40
    async with writers(tmp_path / "told", "add", path, rows=rows) as started:
        ending = asyncio.ensure_future(started.wait())
        pruned = 0
        while not ending.done():
            ledger = await open_ledger(str(path))
            seen = len(await ledger.calls(text=False))
            await ledger.seal(now=2e9)
            pruned += (await ledger.prune_runs(before=1000.0)).runs
            await ledger.compact()
            assert len(await ledger.calls(text=False)) >= seen
            await ledger.close()
        _, errors = await started.communicate()
        acknowledged = told(tmp_path / "told")
    assert (started.returncode, errors) == (0, b"")
    assert len(acknowledged) == PROCESSES * rows
    assert sorted(rows_of(path)) == sorted(acknowledged)
    last = await open_ledger(str(path))
    pruned += (await last.prune_runs(before=1000.0)).runs
    left = await last.runs()
    await last.close()
    assert (pruned, len(left)) == (PROCESSES, PROCESSES)


async def test_a_writer_that_is_killed_takes_no_acknowledged_row_along(tmp_path, long):
    path, luck = tmp_path / "ledger.db", random.Random()
    for round_ in range(40 if long else 2):
        folder = tmp_path / str(round_)
        async with writers(folder, "add", path, processes=2, rows=FOREVER) as started:
            children = [int(child) for child in (await started.stdout.readline()).split()]
            while len(list(folder.iterdir())) < 2 or len(told(folder)) < 8:  # noqa: ASYNC110  # nothing announces it
                await asyncio.sleep(0.005)
            await asyncio.sleep(luck.uniform(0, 0.1))
            for child in children:
                os.kill(child, signal.SIGKILL)
            await started.wait()
        ledger = await open_ledger(str(path))  # at once, whatever the dead left locked
        found = {call.call_id for call in await ledger.calls(text=False)}
        await ledger.close()
        acknowledged = [line for number in range(round_ + 1) for line in told(tmp_path / str(number))]
        assert set(acknowledged) <= found
        assert len(acknowledged) == len(set(acknowledged))
        assert len(rows_of(path)) == len(found)


@pytest.mark.parametrize("steps", [0, len(MIGRATIONS) - 1])
async def test_processes_of_two_versions_bring_one_ledger_to_its_schema_at_once(tmp_path, steps):
    path = tmp_path / "ledger.db"
    if steps:
        made_by(path, steps)
    async with writers(tmp_path / "told", "migrate", path) as started:
        _, errors = await started.communicate()
    assert (started.returncode, errors, told(tmp_path / "told")) == (0, b"", [])
    with closing(sqlite3.connect(path)) as ledger:
        names = ledger.execute("SELECT name FROM schema_migrations ORDER BY name").fetchall()
        assert names == [(step.name,) for step in MIGRATIONS]
    assert len(rows_of(path)) == (1 if steps else 0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that anybody may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("folder_mode", [0o777, 0o555])
async def test_who_may_only_read_a_ledger_reads_it_and_is_told_in_a_sentence_why_not_to_write(
    public_folder, tmp_path, folder_mode
):
    path = public_folder / "ledger.db"
    made_by(path, len(MIGRATIONS))
    ledger = await open_ledger(str(path))
    await ledger.runs()
    await ledger.close()
    path.chmod(0o444)
    public_folder.chmod(folder_mode)
    told_in = tmp_path / "told"
    told_in.mkdir()
    async with writers(told_in, "look", path, processes=1) as started:
        _, errors = await started.communicate()
    runs, refused = told(told_in)
    assert (started.returncode, errors, runs) == (0, b"", "runs 1")
    assert refused.startswith(f"{path}: cannot write: ")
    assert "check its permissions" in refused
