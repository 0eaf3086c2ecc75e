"""Small connection pools, filled one after the other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import anthropic
import pytest

from agentcache.runtime.connection_pools import ROOM, UNUSED_S, ConnectionPools
from tests.runtime.loopback import REQUEST, Bench, LoopbackApi, answering


@dataclass
class Opened:
    """Numbered pools, and which of them were closed."""

    count: int = 1
    closed: list[int] = field(default_factory=list)
    now_s: float = 0.0

    def pools(self, *, room: int = 2) -> ConnectionPools[int]:
        return ConnectionPools(0, self._open, self._close, clock=lambda: self.now_s, room=room)

    def _open(self) -> int:
        self.count += 1
        return self.count - 1

    async def _close(self, pool: int) -> None:
        await asyncio.sleep(0)
        self.closed.append(pool)


@pytest.fixture
def opened() -> Opened:
    return Opened()


async def test_a_pool_is_opened_when_the_ones_before_are_full(opened: Opened):
    pools = opened.pools(room=2)
    async with AsyncExitStack() as requests:
        taken = [await requests.enter_async_context(pools.taken()) for _ in range(5)]
    assert taken == [0, 0, 1, 1, 2]


async def test_room_that_was_left_is_taken_before_another_pool_is_opened(opened: Opened):
    pools = opened.pools(room=1)
    async with pools.taken() as first, AsyncExitStack() as requests:
        for _ in range(3):
            async with pools.taken() as second:
                assert (first, second) == (0, 1)
        await requests.enter_async_context(pools.taken())
    assert opened.count == 2


async def test_pools_that_nobody_used_for_a_while_are_closed_and_the_first_stays(opened: Opened):
    pools = opened.pools(room=1)
    async with AsyncExitStack() as requests:
        for _ in range(3):
            await requests.enter_async_context(pools.taken())
    assert opened.closed == []
    opened.now_s += UNUSED_S + 1
    async with pools.taken():
        pass
    assert sorted(opened.closed) == [1, 2]


async def test_a_pool_with_a_request_under_way_stays_open(opened: Opened):
    pools = opened.pools(room=1)
    async with AsyncExitStack() as requests:
        first = await requests.enter_async_context(AsyncExitStack())
        await first.enter_async_context(pools.taken())
        await requests.enter_async_context(pools.taken())
        opened.now_s += UNUSED_S + 1
        await first.aclose()
        assert opened.closed == []


async def test_a_cancelled_request_leaves_its_room(opened: Opened):
    pools = opened.pools(room=1)

    async def request() -> None:
        async with pools.taken():
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pools.taken() as pool:
        assert pool == 0


async def test_closing_closes_all_and_leaves_the_first_to_say_so(opened: Opened):
    pools = opened.pools(room=1)
    async with pools.taken(), pools.taken():
        pass
    await pools.aclose()
    async with pools.taken() as pool:
        assert pool == 0
    assert (sorted(opened.closed), opened.count) == ([0, 1], 2)


def test_a_pool_keeps_all_connections_that_fall_idle_at_once():
    kept = anthropic.DEFAULT_CONNECTION_LIMITS.max_keepalive_connections
    assert kept is None or kept >= ROOM


async def test_more_requests_than_one_pool_takes_are_answered_at_once(bench: Bench):
    connections = set()

    class Counting(LoopbackApi):
        async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.add(writer)
            await super()._connected(reader, writer)

    many = 2 * ROOM + 1
    async with Counting(*[answering("hi")] * many) as api, bench.client(api.base_url) as client:
        replies = await asyncio.gather(*(client.send(REQUEST, observer=bench.listener) for _ in range(many)))
    assert [reply.content[0]["text"] for reply in replies] == ["hi"] * many
    assert len(connections) == many
