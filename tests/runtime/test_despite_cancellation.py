"""What has begun to be written is written to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest

from agentcache.errors import StoreError
from agentcache.runtime.despite_cancellation import despite_cancellation, row_kept

Finish = Callable[[Coroutine[object, object, None]], Awaitable[None]]


@pytest.fixture(params=[despite_cancellation, row_kept], ids=lambda function: function.__name__)
def finish(request: pytest.FixtureRequest) -> Finish:
    function: Finish = request.param
    return function


async def test_without_a_cancellation_it_is_the_work_itself(finish: Finish):
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    await finish(work())
    assert done == [1]


async def test_work_is_finished_before_the_cancellation_goes_on(finish: Finish):
    began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        await go.wait()
        done.set()

    task = asyncio.ensure_future(finish(work()))
    await began.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_what_the_work_raises_comes_out(finish: Finish):
    async def work() -> None:
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        await finish(work())


async def test_after_a_cancellation_what_the_work_raised_is_its_context(finish: Finish):
    go = asyncio.Event()
    contexts: list[BaseException | None] = []

    async def work() -> None:
        await go.wait()
        raise StoreError("disk full")

    async def caller() -> None:
        try:
            await finish(work())
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


async def test_a_row_that_waits_for_nothing_makes_no_task():
    tasks: list[asyncio.Task[object] | None] = []

    async def work() -> None:
        tasks.append(asyncio.current_task())

    await row_kept(work())
    assert tasks == [asyncio.current_task()]


async def test_a_row_may_wait_more_than_once_and_hears_what_it_waited_for():
    heard: list[object] = []

    async def work() -> None:
        heard.append(await asyncio.sleep(0, "first"))
        try:
            await asyncio.gather(asyncio.sleep(0, "second"), _failing())
        except StoreError as error:
            heard.append(str(error))

    await row_kept(work())
    assert heard == ["first", "busy"]


async def _failing() -> None:
    await asyncio.sleep(0)
    raise StoreError("busy")
