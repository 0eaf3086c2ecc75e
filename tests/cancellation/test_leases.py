"""A lease among processes is given back wherever whoever asked for it is cancelled: others do not wait for its end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agentcache.errors import StoreError
from agentcache.runtime.call_leases import turn_among_processes
from tests.cancellation.suspensions import at, from_on, struck
from tests.stores.redis_server import REDIS_URL, need_redis, own_keys


async def nothing() -> None:
    return None


def refused(error: StoreError) -> None:
    raise error


@pytest.mark.parametrize(("due", "when"), [(at, "asleep"), (at, "waking"), (from_on, "asleep")])
async def test_no_lease_outlives_a_cancelled_call(due: Any, when: Any):
    need_redis()
    from agentcache.stores.redis import RedisMemoStore

    with own_keys() as prefix:
        store = RedisMemoStore(REDIS_URL, clock=time.time, prefix=prefix)
        await store.counters((0,))  # connected

        async def executed(key: str) -> str:
            async with turn_among_processes(store.leases, key, "token", nothing, failed=refused):
                await store.counters((0,))
            return "done"

        whole = await struck(executed("whole"), at())
        for number in range(1, whole.suspensions + 1):
            key = f"struck at {number}"
            ended = await struck(executed(key), due(number), when=when)
            assert ended.cancelled or not ended.blows
            assert await store.leases.take(key, "another", for_s=1), key
        await store.close()
    assert whole.value == "done"
