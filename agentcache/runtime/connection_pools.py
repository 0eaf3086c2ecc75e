"""Which of several small connection pools a request goes through: they are filled one after the other.

The HTTP library looks at every connection of a pool whenever a request enters or leaves it (httpcore2 2.16,
`_assign_requests_to_connections`), and by the SDK's settings it closes all idle ones but a hundred. With a thousand
requests under way that took longer than everything else of a call, and four calls in five opened a connection of their
own (measured by `benchmarks/many_agents`). In a pool of a few dozen neither happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentcache.runtime.despite_cancellation import despite_cancellation

PoolT = TypeVar("PoolT")

ROOM = 32
"""Requests under way in one pool."""

UNUSED_S = 5.0
"""Seconds without a request after which a pool is closed; idle connections live no longer either (httpx2 `Limits`)."""


@dataclass(slots=True)
class _Entry(Generic[PoolT]):
    pool: PoolT
    under_way: int = 0
    used_at: float = 0.0
    """When the last request left it, in seconds of the clock."""


class ConnectionPools(Generic[PoolT]):
    """Pools that are opened by `open_pool` as requests need them, and closed by `close_pool` once nobody does.

    Their number is not bounded, nor are the requests under way: whoever wants fewer at once bounds their calls.
    `first` is always there, and after closing it is the one that requests get: closed, it says so. `clock`: seconds.
    """

    def __init__(
        self,
        first: PoolT,
        open_pool: Callable[[], PoolT],
        close_pool: Callable[[PoolT], Awaitable[None]],
        *,
        clock: Callable[[], float],
        room: int = ROOM,
    ) -> None:
        self._open_pool, self._close_pool, self._clock, self._room = open_pool, close_pool, clock, room
        self._entries = [_Entry(first)]
        self._closed = False

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[PoolT]:
        """Yield the first pool that has room for one more request."""
        entry = self._with_room()
        entry.under_way += 1
        try:
            yield entry.pool
        finally:
            entry.under_way, entry.used_at = entry.under_way - 1, self._clock()
            await self._drop_unused()

    async def aclose(self) -> None:
        """Close every pool, the connections of requests that are under way among them."""
        self._closed = True
        await self._close([self._entries[0], *self._taken_off(self._entries[1:])])

    def _with_room(self) -> _Entry[PoolT]:
        if self._closed:
            return self._entries[0]
        for entry in self._entries:
            if entry.under_way < self._room:
                return entry
        self._entries.append(_Entry(self._open_pool()))
        return self._entries[-1]

    async def _drop_unused(self) -> None:
        """Close pools from the end that nobody has used for a while."""
        before = self._clock() - UNUSED_S
        kept = len(self._entries)
        while kept > 1 and not self._entries[kept - 1].under_way and self._entries[kept - 1].used_at < before:
            kept -= 1
        if kept < len(self._entries):
            await despite_cancellation(self._close(self._taken_off(self._entries[kept:])))

    def _taken_off(self, entries: list[_Entry[PoolT]]) -> list[_Entry[PoolT]]:
        del self._entries[len(self._entries) - len(entries) :]
        return entries

    async def _close(self, entries: list[_Entry[PoolT]]) -> None:
        for entry in entries:
            await self._close_pool(entry.pool)
