"""What has begun to be written is written to its end, even while the run that writes it is being cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from agentcache.stores.finishing import finished

T = TypeVar("T")


async def despite_cancellation(work: Coroutine[object, object, None]) -> None:
    """Finish `work` however often the caller is cancelled meanwhile, then let the cancellation through.

    Raises what `work` raises; after a cancellation, that stands in the cancellation's context.
    """
    await finished(asyncio.create_task(work))


async def row_kept(work: Coroutine[object, object, None]) -> None:
    """Do the same for a write of the ledger, without a task where it has nothing to wait for.

    The write begins in the caller's task and may go on in another one, so it must not bound its time or cancel itself.
    """
    try:
        waited_for = work.send(None)
    except StopIteration:
        return
    await despite_cancellation(_gone_on(_Begun(work, waited_for)))


@dataclass(frozen=True, slots=True)
class _Begun(Awaitable[None]):
    """A coroutine that waits for something, to be gone on with in another task."""

    work: Coroutine[object, object, None]
    waited_for: object

    def __await__(self) -> Generator[object, object, None]:
        waited_for = self.waited_for
        while True:
            try:
                heard = yield waited_for
            except BaseException as error:  # noqa: BLE001  # whatever the task was told is for the coroutine to hear
                step = partial(self.work.throw, error)
            else:
                step = partial(self.work.send, heard)
            try:
                waited_for = step()
            except StopIteration:
                return


async def _gone_on(begun: _Begun) -> None:
    await begun


async def ended(tasks: Collection[asyncio.Future[T]]) -> None:
    """Wait until all have ended, however, and however often the caller is cancelled meanwhile."""
    if tasks:
        await despite_cancellation(_waited(tasks))


async def _waited(tasks: Collection[asyncio.Future[T]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
