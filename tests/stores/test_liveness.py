"""A process is dead when nobody holds its lock: it ended, was killed, or never was."""

from __future__ import annotations

import multiprocessing

import pytest

from agentcache.stores.liveness import Liveness, liveness_at


@pytest.fixture
def url(ledger_url: str) -> str:
    if ledger_url == "memory:":
        pytest.skip("a ledger in memory has one process")
    return ledger_url


async def test_who_holds_a_lock_lives_until_it_lets_go(url: str):
    ours, others = liveness_at(url), liveness_at(url)
    await ours.hold("process_a")
    try:
        assert await others.dead(["process_a", "process_b"]) == {"process_b"}
        assert await ours.dead(["process_a", "process_b"]) == {"process_b"}
        await ours.release()
        assert await others.dead(["process_a"]) == {"process_a"}
    finally:
        await ours.release()
        await others.release()


async def test_a_process_that_is_killed_is_dead_at_once(url: str):
    ours = liveness_at(url)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=_hold, args=(url, "process_x", held))
    other.start()
    try:
        assert held.wait(30)
        assert await ours.dead(["process_x"]) == frozenset()
    finally:
        other.kill()
        other.join()
    await _until_dead(ours, "process_x")
    await ours.release()


def _hold(url: str, name: str, held) -> None:
    import asyncio

    async def forever() -> None:
        await liveness_at(url).hold(name)
        held.set()
        await asyncio.Event().wait()

    asyncio.run(forever())


async def _until_dead(liveness: Liveness, name: str) -> None:
    """Ask until the server has noticed; without an answer the test would never end."""
    while name not in await liveness.dead([name]):
        pass
