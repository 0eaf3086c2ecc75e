"""Records of durable runs that finished long ago go; what can go on stays. On a SQLite file and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from agentcache import Run, workflow
from agentcache.cli import app
from agentcache.errors import StoreError
from agentcache.stores.opening import normal_url, open_ledger
from agentcache.workflow import durable_pruning
from agentcache.workflow.durable_database import database_of
from agentcache.workflow.durable_pruning import SETTLED_S, PrunedDurableRuns, prune_durable_runs
from tests.durable.conftest import DURABLE, Model, durably, interrupted
from tests.postgresql import KeptDatabases
from tests.workflow.conftest import agent

LATER_S = 2 * SETTLED_S
TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


@workflow
async def in_turn(run: Run, texts: list[str]) -> list[str]:
    return [await run.ask(agent(), text) for text in texts]


@workflow
async def breaking(run: Run, texts: list[str]) -> list[str]:
    answers = [await run.ask(agent(), text) for text in texts]
    if BROKEN:
        raise ValueError("broken")
    return answers


BROKEN: list[str] = []


async def pruned(store: str, *, dry_run: bool = False, before: float | None = None) -> PrunedDurableRuns:
    """Prune as somebody would some minutes from now."""
    later = time.time() + LATER_S
    end = later if before is None else before
    return await prune_durable_runs(database_of(DURABLE, store), before=end, now=later, dry_run=dry_run)


def rows(store: str) -> dict[str, int]:
    """Return how many rows each table of the record has."""
    url = normal_url(database_of(DURABLE, store))
    sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url if sqlite else url.set(drivername="postgresql+psycopg"))
    schema = "" if sqlite else "agentcache_durable."
    with engine.connect() as connection:
        found = {name: connection.execute(text(f"SELECT count(*) FROM {schema}{name}")).scalar_one() for name in TABLES}
    engine.dispose()
    return found


async def test_what_finished_goes_with_all_that_was_kept_of_it(durable_url: str):
    model = Model()
    async with durably(model, durable_url) as on:
        await on.runtime.run_as("one", in_turn, ["a", "b"])
    before = rows(durable_url)

    assert await pruned(durable_url) == PrunedDurableRuns(runs=1, can_go_on=0)
    assert (before["workflow_status"], before["operation_outputs"] > 0) == (3, True)
    assert rows(durable_url) == dict.fromkeys(TABLES, 0)


async def test_the_id_of_a_run_that_went_begins_a_new_one(durable_url: str):
    model = Model()
    async with durably(model, durable_url) as on:
        await on.runtime.run_as("one", in_turn, ["a"])
    await pruned(durable_url)
    async with durably(model, durable_url) as on:
        again = await on.runtime.run_as("one", in_turn, ["a"])

    assert again.output == ["a!"]
    assert model.asked["a"] == 2


async def test_a_dry_run_tells_what_would_go(durable_url: str):
    async with durably(Model(), durable_url) as on:
        await on.runtime.run_as("one", in_turn, ["a"])
        await on.runtime.run_as("two", in_turn, ["a"])
    before = rows(durable_url)

    assert await pruned(durable_url, dry_run=True) == PrunedDurableRuns(runs=2, can_go_on=0)
    assert rows(durable_url) == before


async def test_what_finished_later_stays(durable_url: str):
    async with durably(Model(), durable_url) as on:
        await on.runtime.run_as("one", in_turn, ["a"])
        between = time.time()
        await asyncio.sleep(1.1)  # in SQLite, DBOS keeps whole seconds
        await on.runtime.run_as("two", in_turn, ["a"])

    assert await pruned(durable_url, before=between) == PrunedDurableRuns(runs=1, can_go_on=0)
    assert await pruned(durable_url, before=between) == PrunedDurableRuns(runs=0, can_go_on=0)
    assert rows(durable_url)["workflow_status"] == 2


async def test_what_finished_a_moment_ago_stays_for_those_who_wait_for_it(durable_url: str):
    async with durably(Model(), durable_url) as on:
        await on.runtime.run_as("one", in_turn, ["a"])
    now = time.time()
    found = await prune_durable_runs(database_of(DURABLE, durable_url), before=now + 1000, now=now)

    assert found == PrunedDurableRuns(runs=0, can_go_on=0)


async def test_a_run_that_was_cancelled_stays_and_goes_on_where_it_stopped(durable_url: str):
    model = Model("b")
    async with durably(model, durable_url) as on:
        await interrupted(on.runtime.run_as("one", in_turn, ["a", "b"]), model.reached)
    found = await pruned(durable_url)
    model.stuck.clear()
    async with durably(model, durable_url) as on:
        result = await on.runtime.run_as("one", in_turn, ["a", "b"])

    assert found == PrunedDurableRuns(runs=0, can_go_on=1)
    assert result.output == ["a!", "b!"]
    assert model.asked["a"] == 1


async def test_a_run_that_failed_stays_and_goes_on_where_it_failed(durable_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.BROKEN", ["yes"])
    model = Model()
    async with durably(model, durable_url) as on:
        with pytest.raises(ValueError, match="broken"):
            await on.runtime.run_as("one", breaking, ["a"])
    found = await pruned(durable_url)
    monkeypatch.setattr(f"{__name__}.BROKEN", [])
    async with durably(model, durable_url) as on:
        result = await on.runtime.run_as("one", breaking, ["a"])

    assert found == PrunedDurableRuns(runs=0, can_go_on=1)
    assert (result.output, model.asked["a"]) == (["a!"], 1)


async def test_a_run_under_way_stays_though_all_that_it_asked_so_far_is_answered(durable_url: str):
    model = Model("b")
    async with durably(model, durable_url) as on:
        await on.runtime.run_as("done", in_turn, ["a"])
        task = asyncio.create_task(on.runtime.run_as("one", in_turn, ["a", "b", "c"]))
        await model.reached.wait()
        found = await pruned(durable_url)
        kept = rows(durable_url)["workflow_status"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    model.stuck.clear()
    async with durably(model, durable_url) as on:
        result = await on.runtime.run_as("one", in_turn, ["a", "b", "c"])

    assert (found, kept) == (PrunedDurableRuns(runs=1, can_go_on=0), 3)
    assert result.output == ["a!", "b!", "c!"]
    assert model.asked["a"] == 2, "once for each run"


@pytest.mark.parametrize("other", ["ONE", "one2", "on", "one_", "%"])
async def test_a_run_of_a_like_id_keeps_its_own(durable_url: str, other: str):
    model = Model("b")
    async with durably(model, durable_url) as on:
        await interrupted(on.runtime.run_as(other, in_turn, ["a", "b"]), model.reached)
        model.stuck.clear()
        await on.runtime.run_as("one", in_turn, ["a"])
    found = await pruned(durable_url)
    async with durably(model, durable_url) as on:
        await on.runtime.run_as(other, in_turn, ["a", "b"])

    assert found == PrunedDurableRuns(runs=1, can_go_on=1)
    assert model.asked["a"] == 2, "once for each run"


async def test_many_runs_go_a_part_at_a_time(durable_url: str, monkeypatch: pytest.MonkeyPatch):
    for name, size in {"_PAGE": 3, "_RUNS_AT_ONCE": 2, "_TASKS_AT_ONCE": 3}.items():
        monkeypatch.setattr(durable_pruning, name, size)
    async with durably(Model(), durable_url) as on:
        for number in range(5):
            await on.runtime.run_as(f"run-{number}", in_turn, ["a", "b"])

    assert await pruned(durable_url) == PrunedDurableRuns(runs=5, can_go_on=0)
    assert rows(durable_url) == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_database_without_durable_runs_is_told(kind: str, tmp_path: Path, kept_databases: KeptDatabases):
    place = f"sqlite:///{tmp_path}/ledger.db" if kind == "sqlite" else await kept_databases.bare()
    await (await open_ledger(place)).close()

    with pytest.raises(StoreError, match="no durable run was ever recorded here"):
        await prune_durable_runs(place, before=1.0, now=1e9)


async def test_another_run_ending_cancels_nothing_of_one_whose_id_has_other_capitals(durable_url: str):
    model = Model("b")
    async with durably(model, durable_url) as on:
        await on.runtime.run_as("before", in_turn, ["a"])  # "one" waits for no prefix that "ONE" writes
        task = asyncio.create_task(on.runtime.run_as("ONE", in_turn, ["b"]))
        await model.reached.wait()
        await on.runtime.run_as("one", in_turn, ["a"])
        await asyncio.sleep(5 * DURABLE.poll_s)
        under_way = not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert under_way


# --- from the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a durable run that finished some days ago and one that failed then."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{__name__}.BROKEN", ["yes"])

    async def perform() -> None:
        async with durably(Model(), "ledger.db") as on:
            await on.runtime.run_as("one", in_turn, ["a"])
            with pytest.raises(ValueError, match="broken"):
                await on.runtime.run_as("two", breaking, ["a"])

    asyncio.run(perform())
    with sqlite3.connect(tmp_path / "ledger.durable.db") as record:
        record.execute("UPDATE workflow_status SET completed_at = completed_at - 5 * 86400000")
    record.close()
    return tmp_path


def prune(*words: str) -> Any:
    return CliRunner().invoke(app, ["prune", "--db", "ledger.db", *words])


@pytest.mark.usefixtures("folder")
def test_the_command_tells_what_went_and_what_can_go_on():
    would, did = prune("--before", "4d", "--durable", "--dry-run"), prune("--before", "4d", "--durable")

    stays = "1 run that failed or was cancelled can go on and stays\n"
    assert (would.exit_code, would.stdout) == (0, f"would remove the record of 1 finished durable run; {stays}")
    assert (did.exit_code, did.stdout) == (0, f"removed the record of 1 finished durable run; {stays}")
    assert prune("--before", "6d", "--durable").stdout == "removed the record of 0 finished durable runs\n"


@pytest.mark.usefixtures("folder")
def test_the_command_leaves_the_ledger_as_it_is():
    async def runs() -> int:
        ledger = await open_ledger("ledger.db")
        found = await ledger.runs()
        await ledger.close()
        return len(found)

    before = asyncio.run(runs())
    prune("--before", "4d", "--durable")

    assert asyncio.run(runs()) == before > 0


def _moved(folder: Path) -> list[str]:
    (folder / "ledger.durable.db").rename(folder / "elsewhere.db")
    return ["--durable-url", "elsewhere.db"]


def test_the_record_may_lie_elsewhere(folder: Path):
    elsewhere = _moved(folder)

    assert prune("--before", "4d", "--durable", *elsewhere).stdout.startswith("removed the record of 1 finished")
    assert prune("--before", "4d", "--durable").exit_code == 2
    assert "there is no record of durable runs at ledger.durable.db" in prune("--before", "4d", "--durable").stderr
    assert not (folder / "ledger.durable.db").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--durable-url", "x.db"], "--durable-url says where durable runs are; give --durable too"),
        (["--durable", "--durable-url", "ledger.db"], "ledger.db: no durable run was ever recorded here"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_pruned_is_one_sentence(words: list[str], told: str):
    result = prune("--before", "4d", *words)

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert told in result.stderr
