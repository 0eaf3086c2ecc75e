"""What has begun to be written is written to its end, even while the run that writes it is being cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import TypeVar

T = TypeVar("T")


async def despite_cancellation(work: Coroutine[object, object, None]) -> None:
    """Finish `work` however often the caller is cancelled meanwhile, then let the cancellation through.

    Raises what `work` raises; after a cancellation, that stands in the cancellation's context.
    """
    task = asyncio.create_task(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])  # unlike awaiting the task, this leaves it alone when we are cancelled
        except asyncio.CancelledError as error:
            cancellation = error
    try:
        task.result()
    finally:
        if cancellation is not None:
            raise cancellation


async def ended(tasks: Collection[asyncio.Future[T]]) -> None:
    """Wait until all have ended, however, and however often the caller is cancelled meanwhile."""
    if tasks:
        await despite_cancellation(_waited(tasks))


async def _waited(tasks: Collection[asyncio.Future[T]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
