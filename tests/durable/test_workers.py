"""Items of a map that worker processes share: one that is killed loses none, one that is cancelled stops."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from agentcache import Durable, Event, Notice, Run, Runtime, SettingsError, workflow
from agentcache.emulator.latency import Latency
from agentcache.emulator.server import serve
from agentcache.runtime.calls import LOST
from tests.durable import voyage
from tests.durable.conftest import interrupted
from tests.durable.killing import ROOT, processes

SPREAD = Durable(poll_s=0.05, spread=True)


@contextmanager
def workers(count: int, *args: str) -> Iterator[list[Any]]:
    started = [processes().Process(target=voyage.work, args=args) for _ in range(count)]
    for each in started:
        each.start()
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.join()


async def asked(emulator: Any, count: int) -> None:
    while len(emulator.statement.lines) < count:  # noqa: ASYNC110  # the emulator sets no event
        await asyncio.sleep(0.005)


def executors(url: str) -> set[str]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT executor_id FROM agentcache_durable.workflow_status WHERE queue_name LIKE 'agentcache carrier%'"
            )
        )
        found = set(rows.scalars())
    engine.dispose()
    return found


@pytest.mark.slow
async def test_two_workers_share_a_map_and_killing_one_loses_nothing(postgres_url: str):
    async with (
        serve(latency=Latency(base_s=0.02)) as emulator,
        Runtime(postgres_url, durable=SPREAD, base_url=emulator.base_url, api_key="emulated") as runtime,
    ):
        with workers(2, postgres_url, emulator.base_url) as both:
            running = asyncio.ensure_future(runtime.run_as("ship", voyage.unload, list(range(100))))
            await asked(emulator, 40)
            both[0].kill()
            result = await running
        calls = await runtime.ledger.calls(run_id=result.run_id)
        runs = await runtime.ledger.runs(run_id=result.run_id)
        billed = {line.message_id for line in emulator.statement.lines}
    lost = [call for call in calls if call.error == LOST]
    assert result.output == [f"item {item}" for item in range(100)]
    assert result.turns == 100
    assert [run.status for run in runs] == ["finished"] * 101
    assert len(executors(postgres_url)) == 2
    assert {call.message_id for call in calls if call not in lost} <= billed
    assert len(billed) - (len(calls) - len(lost)) <= len(lost) <= 4  # the killed one carried four at once


async def test_cancelling_a_run_stops_the_items_that_workers_have(postgres_url: str):
    async def never(request: Any) -> str:
        await asyncio.sleep(60)
        return ""

    async with (
        serve(never) as emulator,
        Runtime(postgres_url, durable=SPREAD, base_url=emulator.base_url, api_key="emulated") as runtime,
    ):
        with workers(1, postgres_url, emulator.base_url):
            running = asyncio.ensure_future(runtime.run_as("ship", voyage.unload, [1, 2, 3]))
            while len(await runtime.ledger.calls()) < 1:  # noqa: ASYNC110  # another process sets no event
                await asyncio.sleep(0.02)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            while any(run.ended_at is None for run in await runtime.ledger.runs()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        runs = await runtime.ledger.runs()
        calls = await runtime.ledger.calls()
    assert {run.status for run in runs} == {"cancelled"}
    assert {call.error for call in calls} <= {"cancelled"}


@pytest.mark.slow
async def test_the_worker_command_serves_the_agents_of_a_module(postgres_url: str):
    async with (
        serve() as emulator,
        Runtime(postgres_url, durable=SPREAD, base_url=emulator.base_url, api_key="emulated") as runtime,
    ):
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agentcache", "worker", "tests.durable.voyage:carrier", "--db", postgres_url,
            cwd=ROOT, env={"ANTHROPIC_BASE_URL": emulator.base_url, "ANTHROPIC_API_KEY": "emulated"},
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        result = await runtime.run(voyage.unload, [1, 2])
        worker.terminate()
        _, told = await worker.communicate()
    assert result.output == ["item 1", "item 2"]
    assert (worker.returncode, told.decode()) == (0, "Serving carrier. Ctrl-C ends it.\n")


async def test_items_that_no_worker_takes_are_told_of_once(postgres_url: str):
    told: list[Notice] = []
    heard = asyncio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Notice) and event.code == "no_worker":
            told.append(event)
            heard.set()

    async with Runtime(postgres_url, durable=SPREAD, api_key="unused", on_event=listen) as runtime:
        runtime._durable_runs.engine._unserved.after_s = 0.2
        await interrupted(runtime.run(voyage.unload, [1, 2, 3]), heard)
    assert [notice.agent for notice in told] == ["carrier"]
    assert "start `agentcache worker`" in told[0].message


async def test_an_agent_that_stands_in_no_module_is_not_handed_out(postgres_url: str):
    @workflow
    async def local(run: Run) -> list[str]:
        return await run.map(voyage.crew("local"), ["nobody", "waits"])

    async with (
        serve() as emulator,
        Runtime(postgres_url, durable=SPREAD, base_url=emulator.base_url, api_key="emulated") as runtime,
    ):
        assert (await runtime.run(local)).output == ["nobody", "waits"]


async def test_a_file_is_shared_with_no_worker(tmp_path: Path):
    with pytest.raises(SettingsError, match="share a PostgreSQL database"):
        async with Runtime(f"sqlite:///{tmp_path}/ledger.db", durable=SPREAD, api_key="unused"):
            pass
