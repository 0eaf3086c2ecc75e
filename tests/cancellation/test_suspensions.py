"""The harness itself: it counts every suspension, strikes at each of them once, and finds what is done wrong there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cancellation.suspensions import Moment, at, from_on, struck


class Steps:
    """Work with suspensions of every kind; `done` is how far it came."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def three(self) -> str:
        await asyncio.sleep(0)
        self.done.append("yielded")
        await asyncio.sleep(0.001)
        self.done.append("slept")
        await asyncio.get_running_loop().run_in_executor(None, int)
        self.done.append("threaded")
        return "whole"


async def never(number: int) -> bool:
    raise AssertionError(number)


async def test_work_that_nobody_strikes_ends_as_it_would_and_is_counted():
    ended = await struck(Steps().three(), at())
    assert (ended.value, ended.error, ended.suspensions, ended.blows, ended.left) == ("whole", None, 3, 0, [])


@pytest.mark.parametrize("when", ["asleep", "waking"])
@pytest.mark.parametrize(("number", "done"), [(1, []), (2, ["yielded"]), (3, ["yielded", "slept"])])
async def test_it_is_cancelled_at_each_suspension_and_nowhere_else(when, number, done):
    steps = Steps()
    ended = await struck(steps.three(), at(number), when=when)
    assert (ended.cancelled, ended.blows, steps.done) == (True, 1, done)


async def test_it_ends_before_a_blow_that_comes_too_late():
    ended = await struck(Steps().three(), at(4))
    assert (ended.value, ended.blows) == ("whole", 0)


async def test_suspensions_of_tasks_that_it_began_count_and_the_blow_falls_on_the_first_task():
    fallen: list[Any] = []

    async def child() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def parent() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())

    def strike(task: asyncio.Task[Any]) -> None:
        fallen.append(task.get_coro())
        task.cancel()

    for number in range(1, 6):
        ended = await struck(parent(), at(number), strike=strike)
        assert ended.cancelled
    whole = await struck(parent(), at())
    assert (whole.suspensions, {each.__name__ for each in fallen}) == (5, {"parent"})


async def test_a_task_that_was_begun_elsewhere_does_not_count():
    async def beside() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    other = asyncio.create_task(beside())
    ended = await struck(Steps().three(), at())
    await other
    assert ended.suspensions == 3


async def test_a_blow_at_waking_takes_away_what_had_just_come():
    """What a queue hands over and nobody takes is the classic loss; a cancellation that comes earlier loses nothing."""
    lost = {}
    moments: tuple[Moment, ...] = ("asleep", "waking")
    for when in moments:
        given: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def take(given: asyncio.Future[str] = given) -> str:
            return await given

        async def give(given: asyncio.Future[str] = given) -> None:
            await asyncio.sleep(0.001)
            if not given.done():
                given.set_result("it")

        giving = asyncio.create_task(give())
        ended = await struck(take(), at(1), when=when)
        await giving
        assert ended.cancelled
        lost[when] = not given.cancelled()
    assert lost == {"asleep": False, "waking": True}


async def test_a_task_that_is_left_behind_is_seen():
    async def careless() -> None:
        running.append(asyncio.create_task(asyncio.sleep(60)))
        await asyncio.sleep(0)

    running: list[asyncio.Task[None]] = []
    ended = await struck(careless(), at(2))
    assert ended.left == running
    running[0].cancel()


async def test_a_cancellation_that_is_swallowed_is_seen():
    async def deaf() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "went on"
        return "slept"

    ended = await struck(deaf(), at(1))
    assert (ended.value, ended.cancelled, ended.blows) == ("went on", False, 1)


async def test_from_on_strikes_whoever_cleans_up_too():
    cleaned: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append("all")

    once = await struck(tidy(), at(1))
    assert (once.cancelled, cleaned) == (True, ["all"])
    again = await struck(tidy(), from_on(1))
    assert (again.cancelled, cleaned, again.blows) == (True, ["all"], 2)


async def test_a_task_that_is_cancelled_before_it_began_leaves_no_warning():
    async def parent() -> None:
        task = asyncio.create_task(never(1))
        task.cancel()
        await asyncio.wait([task])

    assert (await struck(parent(), at())).error is None
