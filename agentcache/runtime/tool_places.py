"""How many executions of one tool run at once in this process, whichever agents, runs and event loops ask for it.

A tool that declares `concurrency` has that many places. An execution takes one and gives it back when nothing of it
runs any more: a thread that goes on after its time was up keeps the place that its call has left. Who finds none free
waits; first come, first served. A call from within an execution of the same tool takes no place of its own, since it
might wait for ever for the one that waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakKeyDictionary

from agentcache.runtime.tools import Tool

_Waiter: TypeAlias = "asyncio.Future[None]"

_places: WeakKeyDictionary[Tool, Places] = WeakKeyDictionary()
_lock = threading.Lock()
_around: ContextVar[frozenset[Places]] = ContextVar("executions_around", default=frozenset())


@asynccontextmanager
async def place_of(tool: Tool) -> AsyncIterator[Place | None]:
    """Wait for a place of the tool and hold it in the block; `None` where the execution needs none."""
    if tool.concurrency is None:
        yield None
        return
    with _lock:
        places = _places.setdefault(tool, Places(tool.concurrency))
    around = _around.get()
    if places in around:
        yield None
        return
    await places.taken()
    place = Place(places)
    token = _around.set(around | {places})
    try:
        yield place
    finally:
        _around.reset(token)
        place.leave()


@dataclass(slots=True, eq=False)
class Places:
    """The places of one tool. Threads and event loops may share them."""

    free: int
    waiting: deque[_Waiter] = field(default_factory=deque)
    """Who waits, each on an event loop of its own; nobody does while a place is free."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def taken(self) -> None:
        """Take a place, or wait until one is handed over. Cancelled meanwhile, it takes none."""
        with self.lock:
            if self.free:
                self.free -= 1
                return
            waiter: _Waiter = asyncio.get_running_loop().create_future()
            self.waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not self._withdrawn(waiter):
                self.give_back()  # it had been handed over already
            raise

    def give_back(self) -> None:
        """Hand a place to whoever has waited longest, from whatever thread this is."""
        with self.lock:
            while self.waiting:
                waiter = self.waiting.popleft()
                try:
                    waiter.get_loop().call_soon_threadsafe(_wake, waiter)
                except RuntimeError:  # its event loop was closed under it: nobody waits there any more
                    continue
                return
            self.free += 1

    def _withdrawn(self, waiter: _Waiter) -> bool:
        with self.lock:
            if waiter not in self.waiting:
                return False
            self.waiting.remove(waiter)
            return True


@dataclass(slots=True)
class Place:
    """A place that is held: by the call, and by the thread that it may have started."""

    places: Places
    holders: int = 1

    def enter(self) -> bool:
        """Hold the place from a thread as well; `False` when it was given up before the thread began."""
        with self.places.lock:
            if not self.holders:
                return False
            self.holders += 1
            return True

    def leave(self) -> None:
        """Hold the place no longer; the last one to do so gives it back."""
        with self.places.lock:
            self.holders -= 1
            last = not self.holders
        if last:
            self.places.give_back()


def _wake(waiter: _Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
