"""A SQLite ledger whose file fails under it: a full disk, a file that goes away, a log that is cut by a power cut."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentcache.accounting.pricing import plain_usd
from agentcache.errors import StoreError
from agentcache.runtime.events import CallFinished, Event, FirstToken, Notice
from agentcache.stores import rows as stores_rows
from agentcache.stores.opening import open_ledger
from tests.stores.test_troubled_files import CALL, RUN
from tests.workflow.conftest import agent, staged

LARGE = replace(CALL, plan={"padding": "x" * 4000})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; only the superuser may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False, capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a file system of our own takes a superuser who may mount")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


async def bound(ledger: Any, pages: int) -> None:
    """Let SQLite find its disk full beyond so many pages of 4 kB."""
    await ledger._database.write(lambda at: at.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar())


async def test_on_a_full_disk_each_row_is_acknowledged_or_refused_in_a_sentence_and_room_helps(small_disk: Path):
    path = small_disk / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)
    filler = small_disk / "filler"
    acknowledged, refused = [], []
    for number in range(60):
        if number == 20:
            filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
        if number == 40:
            filler.unlink()
        call = replace(LARGE, call_id=f"call_{number}")
        try:
            await ledger.add_call(call)
            acknowledged.append(call.call_id)
        except StoreError as error:
            refused.append(str(error))
    assert len(await ledger.calls()) == len(acknowledged)
    await ledger.close()
    found = await open_ledger(str(path))
    assert [call.call_id for call in sorted(await found.calls(), key=lambda one: int(one.call_id[5:]))] == acknowledged
    await found.close()
    assert refused
    assert {line.startswith(f"{path}: cannot write: ") and "make room on the disk" in line for line in refused} == {
        True
    }
    assert acknowledged[-20:] == [f"call_{number}" for number in range(40, 60)]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.other_books("the rows that are missing are what is tested")
async def test_a_run_whose_answer_cannot_be_written_down_says_what_was_paid_for_and_the_next_one_goes_on(
    tmp_path: Path,
):
    path = tmp_path / "ledger.db"
    async with staged(lambda request: "ok", store=str(path)) as on:
        await on.runtime.run(agent(), "before")
        with closing(sqlite3.connect(path)) as raw:
            [pages] = raw.execute("PRAGMA page_count").fetchone()

        async def runs_until_it_is_full() -> None:
            for number in range(300):
                await on.runtime.run(agent(), f"{number} " + "x" * 50)

        await bound(on.runtime.ledger, pages)
        with pytest.raises(StoreError, match="make room on the disk") as raised:
            await runs_until_it_is_full()
        await bound(on.runtime.ledger, 10_000)
        kept = {call.message_id for call in await on.runtime.ledger.calls()}
        told = [event.record for event in on.told(CallFinished)]
        assert [record.message_id for record in told] == [line.message_id for line in on.emulator.statement.lines]
        lost = [record for record in told if record.message_id not in kept]
        assert (await on.runtime.run(agent(), "after")).output == "ok"
    [record] = lost
    [notice] = on.told(Notice)
    assert notice.code == "row_lost"
    for said in (str(raised.value), notice.message):
        assert f"message {record.message_id}, ${plain_usd(record.cost_usd)}" in said


@pytest.mark.other_books("the row that is missing is what is tested")
async def test_a_cancelled_run_whose_rows_cannot_be_written_is_told_of_too(tmp_path: Path, monkeypatch):
    async with staged(lambda request: "ok", store=str(tmp_path / "ledger.db")) as on:
        running = asyncio.create_task(on.runtime.run(agent(), "go"))

        whole = stores_rows.call_row

        def too_large(call: Any) -> Any:
            running.cancel()
            return {**whole(call), "plan": "x" * 1_000_000}

        await bound(on.runtime.ledger, 100)
        monkeypatch.setattr(stores_rows, "call_row", too_large)
        with pytest.raises(asyncio.CancelledError):
            await running
        monkeypatch.undo()
        [line] = on.emulator.statement.lines
        [notice] = on.told(Notice)
    assert notice.code == "row_lost"
    assert line.message_id in notice.message


async def test_a_ledger_whose_file_was_removed_takes_no_row_that_would_be_gone(tmp_path: Path):
    folder = tmp_path / "project"
    ledger = await open_ledger(str(folder / "ledger.db"))
    await ledger.start_run(RUN)
    shutil.rmtree(folder)
    with pytest.raises(
        StoreError, match=r"ledger\.db: cannot write: its file was removed or replaced while it was open"
    ):
        await ledger.add_call(CALL)
    await ledger.close()


async def test_a_ledger_whose_file_was_replaced_takes_no_row(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)
    other = await open_ledger(str(tmp_path / "other.db"))
    await other.close()
    (tmp_path / "other.db").replace(path)
    with pytest.raises(StoreError, match="removed or replaced"):
        await ledger.add_call(CALL)
    await ledger.close()


async def test_a_log_that_is_cut_or_damaged_costs_the_last_rows_and_nothing_else(tmp_path: Path):
    """A power cut may leave any part of the write-ahead log: what is read then is the ledger of some moment before."""
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await ledger.start_run(RUN)
    for number in range(20):
        await ledger.add_call(replace(CALL, call_id=f"call_{number:02}"))
    copied = path.read_bytes(), log_of(path).read_bytes()
    await ledger.close()
    lengths = []
    for part in range(11):
        main, log = copied
        cut = log[: len(log) * part // 10]
        damaged = tmp_path / f"{part}.db"
        damaged.write_bytes(main)
        log_of(damaged).write_bytes(cut[:-50] + b"?" * min(50, len(cut)) if part % 2 else cut)
        found = await open_ledger(str(damaged))
        rows = sorted(call.call_id for call in await found.calls())
        await found.close()
        assert rows == [f"call_{number:02}" for number in range(len(rows))]
        with closing(sqlite3.connect(damaged)) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        lengths.append(len(rows))
    assert lengths == sorted(lengths)
    assert lengths[-1] == 20


@pytest.mark.other_books("the row that is missing is what is tested")
async def test_a_ledger_that_goes_away_amid_a_run_hides_nothing_of_what_was_paid_for(tmp_path: Path):
    folder = tmp_path / "project"

    def remove(event: Event) -> None:
        if isinstance(event, FirstToken):
            shutil.rmtree(folder)

    async with staged(lambda request: "ok", store=str(folder / "ledger.db"), on_event=remove) as on:
        with pytest.raises(StoreError, match=r"removed or replaced .*; the ledger may lack call ") as raised:
            await on.runtime.run(agent(), "go")
        [line] = on.emulator.statement.lines
    assert line.message_id in str(raised.value)
    [note] = raised.value.__notes__
    assert note.startswith("the end of run run_")
