"""A process that is killed with -9 loses nothing: the next one goes on where it stopped."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentcache import Event, Notice
from tests.durable import voyage
from tests.durable.killing import Voyage, afloat, sail_with_kills


@pytest.mark.slow
async def test_a_voyage_killed_at_random_points_ends_well_and_pays_for_nothing_twice(durable_url: str, tmp_path: Path):
    sea = await sail_with_kills(durable_url, tmp_path, kills=4, chance=random.Random(2))
    assert await sea.audit() == []


async def test_a_voyage_that_ended_is_not_sailed_again(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea:
        assert await sea.sail()
        assert await sea.sail()
        assert sea.served.total() == sum(voyage.STEPS.values())
    assert await sea.audit() == []


@asynccontextmanager
async def waited_for(sea: Voyage) -> AsyncIterator[tuple[Any, asyncio.Task[Any]]]:
    """Start a voyage that comes to its last call, and wait for it here too; give the process and who waits."""
    attached = asyncio.Event()

    def see(event: Event) -> None:
        if isinstance(event, Notice) and "under way elsewhere" in event.message:
            attached.set()

    sea.ready.clear()
    process = sea.start()
    while sea.served.total() < sum(voyage.STEPS.values()):  # noqa: ASYNC110  # a process sets no event of ours
        await asyncio.sleep(0.002)
    options = {"base_url": sea.emulator.base_url, "api_key": "emulated", "on_event": see}
    waiting = asyncio.ensure_future(voyage.sail_as("voyage-1", sea.ledger_url, sea.effects_db, **options))
    await attached.wait()
    yield process, waiting


async def test_whoever_waits_for_a_run_takes_it_over_when_its_process_is_killed(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea, waited_for(sea) as (process, waiting):
        process.kill()
        await asyncio.to_thread(process.join)
        sea.kills += 1
        sea.ready.set()
        result = await waiting
        sea.result = {"output": result.output, "turns": result.turns}
    assert process.exitcode == -signal.SIGKILL
    assert await sea.audit() == []


async def test_whoever_only_waits_may_go_and_the_run_goes_on(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea, waited_for(sea) as (process, waiting):
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        sea.ready.set()
        await asyncio.to_thread(process.join)
        assert await sea.sail()
    assert process.exitcode == 0
    assert await sea.audit() == []


async def test_nothing_that_is_kept_is_a_pickle(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea:
        assert await sea.sail()
    assert sea.forms() == {"agentcache_json"}
