"""Tasks that wake up together take turns on the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise

from agentcache.runtime.turnstile import Turnstile


async def test_the_loop_has_a_round_of_its_own_between_two_that_pass():
    turnstile = Turnstile()
    seen: list[int | None] = []

    async def work(number: int) -> None:
        await turnstile.passed()
        seen.append(number)

    async def others() -> None:
        while True:
            seen.append(None)
            await asyncio.sleep(0)

    ticking = asyncio.create_task(others())
    await asyncio.gather(*(work(number) for number in range(20)))
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    passed = [place for place, item in enumerate(seen) if item is not None]
    assert [seen[place] for place in passed] == list(range(20))
    assert all(later - earlier > 1 for earlier, later in pairwise(passed))


async def test_one_that_is_cancelled_in_the_queue_holds_nobody_up():
    turnstile = Turnstile()
    first, second, third = (asyncio.create_task(turnstile.passed()) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([first, second, third], timeout=5)
    assert (first.done(), second.cancelled(), third.done()) == (True, True, True)
    assert third.exception() is None
