"""Processes that write one ledger at once: `python -m tests.stores.ledger_writers TASK PATH FOLDER PROCESSES ROWS`.

Each writes the id of every row that the ledger acknowledged to a file of its own in FOLDER, named by its process id,
the moment it was acknowledged; and what was raised, if anything was. Imported once and forked, since importing takes
longer than all the writing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from functools import partial
from pathlib import Path

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.errors import SchemaTooNew, StoreError
from agentcache.stores import sql
from agentcache.stores.migrations import MIGRATIONS, apply_next, is_current
from agentcache.stores.opening import open_ledger

AT_ONCE = 4
"""Rows that a process hands in together, as calls that run at once do."""


async def add_rows(path: str, rows: int, acknowledged: int) -> None:
    """Write a run that is old enough to be pruned, and one with so many calls; `acknowledged` is a file descriptor."""
    ledger = await open_ledger(path)
    process = os.getpid()
    await ledger.start_run(RunRecord(run_id=f"old_{process}", parent_run_id=None, name="old", agent=None, started_at=1))
    await ledger.finish_run(f"old_{process}", ended_at=2.0, status=RunStatus.FINISHED)
    run_id = f"run_{process}"
    await ledger.start_run(RunRecord(run_id=run_id, parent_run_id=None, name="new", agent=None, started_at=1e9))

    async def add(number: int) -> None:
        call = CallRecord(
            call_id=f"call_{process}_{number}",
            run_id=run_id,
            agent="writer",
            model="claude-sonnet-5-5",
            sent_at=1e9 + number,
            usage=Usage(uncached_input_tokens=number),
            plan={"padding": "x" * 500},
        )
        await ledger.add_call(call)
        os.write(acknowledged, f"{call.call_id}\n".encode())

    for first in range(0, rows, AT_ONCE):
        await asyncio.gather(*(add(number) for number in range(first, min(first + AT_ONCE, rows))))
    await ledger.close()


async def migrate(path: str, number: int) -> None:
    """Open a ledger, every other process as an agentcache that does not know the newest step."""
    if number % 2:
        known = MIGRATIONS[:-1]
        vars(sql).update(
            is_current=partial(is_current, migrations=known), apply_next=partial(apply_next, migrations=known)
        )
    try:
        ledger = await open_ledger(path)
    except SchemaTooNew:
        if not number % 2:
            raise
    else:
        await ledger.runs()
        await ledger.close()


async def look_and_write(path: str, told: int) -> None:
    """Tell what somebody sees who may only read: how many runs, and what writing says."""
    try:
        ledger = await open_ledger(path)
        assert not await ledger.seal(now=2e9), "a report sealed"
        os.write(told, f"runs {len(await ledger.runs())}\n".encode())
        try:
            await ledger.start_run(RunRecord(run_id="mine", parent_run_id=None, name="n", agent=None, started_at=1))
        finally:
            await ledger.close()
    except StoreError as error:
        os.write(told, f"{error}\n".encode())


async def import_all(folder: Path) -> None:
    """Use a ledger once: who is nobody any more may not read the modules that are imported on the way."""
    ledger = await open_ledger(str(folder / "tried" / "ledger.db"))
    await ledger.start_run(RunRecord(run_id="mine", parent_run_id=None, name="n", agent=None, started_at=1))
    await ledger.runs()
    await ledger.close()


def perform(task: str, path: str, folder: Path, number: int, rows: int) -> None:
    told = os.open(folder / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        if task == "add":
            asyncio.run(add_rows(path, rows, told))
        elif task == "migrate":
            asyncio.run(migrate(path, number))
        else:
            if os.geteuid() == 0:
                asyncio.run(import_all(folder))
                os.setuid(65534)  # to the superuser nothing is read-only
            asyncio.run(look_and_write(path, told))
    except BaseException:  # noqa: BLE001  # told to the test, which fails for it
        os.write(told, f"RAISED {traceback.format_exc()}".encode())
        os._exit(1)
    os._exit(0)


def main() -> None:
    task, path, folder, processes, rows = sys.argv[1:]
    children = []
    for number in range(int(processes)):
        child = os.fork()
        if not child:
            perform(task, path, Path(folder), number, int(rows))
        children.append(child)
    print(*children, flush=True)
    ended = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(ended))


if __name__ == "__main__":
    main()
