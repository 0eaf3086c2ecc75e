"""What has begun to be written is written to its end."""

from __future__ import annotations

import asyncio

import pytest

from agentcache.errors import StoreError
from agentcache.runtime.despite_cancellation import despite_cancellation


async def test_without_a_cancellation_it_is_the_work_itself():
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    await despite_cancellation(work())
    assert done == [1]


async def test_work_is_finished_before_the_cancellation_goes_on():
    began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        await go.wait()
        done.set()

    task = asyncio.create_task(despite_cancellation(work()))
    await began.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_what_the_work_raises_comes_out():
    async def work() -> None:
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        await despite_cancellation(work())


async def test_after_a_cancellation_what_the_work_raised_is_its_context():
    go = asyncio.Event()
    contexts: list[BaseException | None] = []

    async def work() -> None:
        await go.wait()
        raise StoreError("disk full")

    async def caller() -> None:
        try:
            await despite_cancellation(work())
        except asyncio.CancelledError as cancellation:
            contexts.append(cancellation.__context__)
            raise

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(contexts[0], StoreError)
