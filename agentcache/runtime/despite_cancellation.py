"""What has begun to be written is written to its end, even while the run that writes it is being cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import TypeVar

from agentcache.stores.finishing import finished

T = TypeVar("T")


async def despite_cancellation(work: Coroutine[object, object, None]) -> None:
    """Finish `work` however often the caller is cancelled meanwhile, then let the cancellation through.

    Raises what `work` raises; after a cancellation, that stands in the cancellation's context.
    """
    await finished(asyncio.create_task(work))


async def ended(tasks: Collection[asyncio.Future[T]]) -> None:
    """Wait until all have ended, however, and however often the caller is cancelled meanwhile."""
    if tasks:
        await despite_cancellation(_waited(tasks))


async def _waited(tasks: Collection[asyncio.Future[T]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
