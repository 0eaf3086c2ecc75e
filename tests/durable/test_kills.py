"""A process that is killed with -9 loses nothing: the next one goes on where it stopped."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

from agentcache import Event, Notice
from tests.durable import voyage
from tests.durable.killing import afloat, sail_with_kills


async def test_a_voyage_killed_at_random_points_ends_well_and_pays_for_nothing_twice(durable_url: str, tmp_path: Path):
    sea = await sail_with_kills(durable_url, tmp_path, kills=4, chance=random.Random(2))
    assert await sea.audit() == []


async def test_a_voyage_that_ended_is_not_sailed_again(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea:
        assert await sea.sail()
        assert await sea.sail()
        assert sea.served.total() == sum(voyage.STEPS.values())
    assert await sea.audit() == []


async def test_whoever_waits_for_a_run_takes_it_over_when_its_process_is_killed(durable_url: str, tmp_path: Path):
    attached = asyncio.Event()

    def see(event: Event) -> None:
        if isinstance(event, Notice) and "another process performs it" in event.message:
            attached.set()

    async with afloat(durable_url, tmp_path, latency_s=0) as sea:
        sea.ready.clear()
        process = sea.start()
        while sea.served.total() < sum(voyage.STEPS.values()):  # noqa: ASYNC110  # a process sets no event of ours
            await asyncio.sleep(0.002)
        url = sea.emulator.base_url
        waiting = asyncio.ensure_future(
            voyage.sail_as("voyage-1", durable_url, sea.effects_db, base_url=url, api_key="emulated", on_event=see)
        )
        await attached.wait()
        process.kill()
        await asyncio.to_thread(process.join)
        sea.kills += 1
        sea.ready.set()
        result = await waiting
        sea.result = {"output": result.output, "turns": result.turns}
    assert process.exitcode == -signal.SIGKILL
    assert await sea.audit() == []


async def test_nothing_that_is_kept_is_a_pickle(durable_url: str, tmp_path: Path):
    async with afloat(durable_url, tmp_path, latency_s=0) as sea:
        assert await sea.sail()
    assert sea.forms() == {"agentcache_json"}
