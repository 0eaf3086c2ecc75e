"""Waits for a function that may block for hours, such as one that asks a person.

It gets a thread of its own: the pool that plain tools run in stays free, and the process can end while it waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise what it raises. When the wait is cancelled, nobody hears of either."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def hand_in(deliver: Callable[[], None]) -> None:
        if not outcome.done():
            deliver()

    def perform() -> None:
        deliver: Callable[[], None]
        try:
            deliver = partial(outcome.set_result, context.run(function))
        except StopIteration as error:  # no future can hold one (python/cpython#112182)
            deliver = partial(outcome.set_exception, RuntimeError(f"StopIteration: {error}"))
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            deliver = partial(outcome.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(hand_in, deliver)

    threading.Thread(target=perform, name="waiting", daemon=True).start()
    return await outcome
