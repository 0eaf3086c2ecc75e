"""Waits for a task to its end, however often whoever waits is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def finished(task: asyncio.Future[T]) -> T:
    """Return what the task returns, or raise what it raises, once it has ended; a cancellation goes on only then.

    After a cancellation, what the task raised stands in the cancellation's context.
    """
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])  # unlike awaiting the task, this leaves it alone when we are cancelled
        except asyncio.CancelledError as error:
            cancellation = error
    try:
        return task.result()
    finally:
        if cancellation is not None:
            raise cancellation
