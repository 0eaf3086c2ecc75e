"""The two clocks."""

from __future__ import annotations

import asyncio
import time

import pytest

from agentcache.emulator.clock import RealClock, VirtualClock


async def test_the_real_clock_tells_the_time_of_day() -> None:
    clock = RealClock()
    before = time.time()
    await clock.sleep(0.01)
    assert before - 1 < clock.now() < before + 60


async def test_a_virtual_sleeper_wakes_when_its_time_has_come() -> None:
    clock = VirtualClock(100.0)
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    sleepers = [asyncio.create_task(sleeper(seconds)) for seconds in (10, 5)]
    await asyncio.sleep(0)
    await clock.advance(4)
    await asyncio.sleep(0)
    assert woken == []
    await clock.advance(1)
    await asyncio.sleep(0.01)
    assert woken == [5]
    await clock.advance(100)
    await asyncio.gather(*sleepers)
    assert clock.now() == 205


async def test_no_time_at_all_needs_no_waking() -> None:
    await VirtualClock().sleep(0)


async def test_a_clock_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        await VirtualClock().advance(-1)
