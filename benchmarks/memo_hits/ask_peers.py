"""Asks other caches, each as its documentation has it. Started by `measure.py`, as `ask_ours.py` is.

Each answers a call of one function with the same arguments. The key is made of them in the way that the library offers:
cashews from a template, langgraph by its own function, diskcache (whose decorator is not for async code) from a tuple.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from asking import ARGUMENTS, RESULT, Ask, answer_rounds

KEY = ("find_order", ARGUMENTS["order_id"], 10)


async def diskcache(way: str, folder: Path) -> Ask:
    from diskcache import Cache

    cache = Cache(str(folder))
    cache.set(KEY, RESULT, expire=3600)

    async def blocking() -> str:
        return cache.get(KEY)

    async def in_thread() -> str:
        return await asyncio.to_thread(cache.get, KEY)

    return in_thread if way == "sqlite" else blocking


async def cashews(way: str, folder: Path, redis: str) -> Ask:
    from cashews import Cache

    cache = Cache()
    cache.setup({"memory": "mem://", "sqlite": f"disk://?directory={folder}", "redis": redis}[way])

    @cache(ttl="1h", key="find_order:{order_id}:{limit}")
    async def find_order(order_id: str, limit: int = 10) -> str:
        return RESULT

    return lambda: find_order(**ARGUMENTS)


async def langgraph(way: str, folder: Path, redis: str) -> Ask:
    from langgraph._internal._cache import default_cache_key
    from langgraph.cache.memory import InMemoryCache
    from langgraph.cache.redis import RedisCache
    from langgraph.cache.sqlite import SqliteCache
    from redis import Redis

    cache = {
        "memory": InMemoryCache,
        "sqlite": lambda: SqliteCache(path=str(folder / "cache.db")),
        "redis": lambda: RedisCache(Redis.from_url(redis)),
    }[way]()

    def key() -> tuple[tuple[str], str]:
        return ("find_order",), default_cache_key(ARGUMENTS).hex()

    await cache.aset({key(): (RESULT, 3600)})

    async def ask() -> str:
        asked = key()
        return (await cache.aget([asked]))[asked]

    return ask


async def ask_of(name: str, folder: Path, redis: str) -> Ask:
    """Return what is timed."""
    library, way = name.split()
    if library == "diskcache":
        return await diskcache(way, folder)
    return await {"cashews": cashews, "langgraph": langgraph}[library](way, folder, redis)


if __name__ == "__main__":
    asyncio.run(answer_rounds(ask_of(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
