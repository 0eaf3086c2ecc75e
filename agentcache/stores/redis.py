"""Kept results in Redis, shared by processes on any machine. The only module that knows its client.

An entry is one string that ends by itself; one that its tool lets live for ever ends after 30 days. Sets list the keys
of each tag, tool and tenant; each write looks at a few members of its sets and takes out those that have ended, and a
set ends with its last entry.
What must not be torn apart is a script on the server. All keys of a store are looked at together, so a Redis cluster
does not serve; one server does, with or without replicas. How much it keeps, and what goes first, is the server's
`maxmemory` and `maxmemory-policy`.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, TypeAlias, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agentcache.errors import SettingsError, StoreError
from agentcache.shown_url import shown_url
from agentcache.stores.memo_entries import (
    EVERYTHING,
    TOTAL,
    CorruptEntry,
    Leases,
    MemoEntry,
    Selection,
    Tier,
    entry_json,
    entry_of_json,
)

KEPT_S = 30 * 86_400.0
"""How long an entry without an end of its own stays, in seconds."""

_CONNECTIONS = 16
_TIMEOUT_S = 2.0
"""How long one answer is waited for; a memo that makes calls wait longer is worse than none."""
_PAGE = 200

# KEYS: the entry, the counters, then the sets that list it. ARGV: entry, milliseconds, slot, count, slot, count...
_PUT = """
for i = 3, #ARGV, 2 do
    if (redis.call('HGET', KEYS[2], ARGV[i]) or '0') ~= ARGV[i + 1] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for i = 3, #KEYS do
    for _, key in ipairs(redis.call('SRANDMEMBER', KEYS[i], 3)) do
        if redis.call('EXISTS', key) == 0 then redis.call('SREM', KEYS[i], key) end
    end
    redis.call('SADD', KEYS[i], KEYS[1])
    if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
end
return 1
"""
# KEYS: the counters, then the entries. ARGV: slots.
_REMOVE = """
for _, slot in ipairs(ARGV) do redis.call('HINCRBY', KEYS[1], slot, 1) end
local gone = 0
for i = 2, #KEYS do gone = gone + redis.call('UNLINK', KEYS[i]) end
return {gone, tonumber(redis.call('HGET', KEYS[1], '0'))}
"""
_RENEW = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_RELEASE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])"

_Script: TypeAlias = Callable[..., Awaitable[object]]  # type: ignore[explicit-any]  # the client's own type


class RedisMemoStore:
    """Keeps entries under keys that begin with `prefix`."""

    tier: ClassVar[Tier] = "redis"

    def __init__(self, url: str, *, clock: Callable[[], float], prefix: str = "agentcache:memo") -> None:
        self._clock, self._prefix = clock, prefix
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=_TIMEOUT_S,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),  # a connection that the server closed while nobody used it
            )
        except (ValueError, TypeError) as error:
            # Its own words may quote a part of the password.
            raise SettingsError(
                f"the memo's URL {shown_url(url)!r} is none that Redis takes; write "
                "redis://USER:PASSWORD@HOST:PORT/NUMBER, a password's marks as %XX"
            ) from error
        self._redis = Redis(connection_pool=pool)
        self.leases: Leases = _RedisLeases(self)

    async def get(self, key: str) -> MemoEntry | None:
        """Return the entry of this key."""
        async with self.told("read"):
            data = await self._redis.get(self._entry(key))
        return None if data is None else entry_of_json(_bytes(data))

    async def put(self, entry: MemoEntry, *, unless_moved: Sequence[tuple[int, int]] = ()) -> bool:
        """Keep an entry until it ends, for 30 days at most."""
        left_s = KEPT_S if entry.expires_at is None else min(entry.expires_at - self._clock(), KEPT_S)
        if left_s <= 0:
            return False
        sets = [self._all(), self._set("tenant", entry.tenant), self._set("tool", entry.tenant, entry.tool)]
        sets += [self._set("tag", entry.tenant, tag) for tag in entry.tags]
        keys = [self._entry(entry.key), self._counters(), *sets]
        arguments = [entry_json(entry), math.ceil(left_s * 1000), *(item for pair in unless_moved for item in pair)]
        async with self.told("write"):
            return await self._run(_PUT, keys, arguments) == 1

    async def counters(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Return these counters."""
        async with self.told("read"):
            found = await cast("Awaitable[list[object]]", self._redis.hmget(self._counters(), [str(s) for s in slots]))
        return tuple(0 if count is None else int(_bytes(count)) for count in found)

    async def entries(self, which: Selection = EVERYTHING) -> list[MemoEntry]:
        """Return these entries, oldest first; those that cannot be read are left out."""
        found = []
        async with self.told("read"):
            keys = await self._keys(which)
            for page in (keys[i : i + _PAGE] for i in range(0, len(keys), _PAGE)):
                found += [_readable(data) for data in await self._redis.mget(page)]
        entries = [entry for entry in found if entry is not None and which.has(entry)]
        return sorted(entries, key=lambda entry: (entry.stored_at, entry.key))

    async def drop(self, key: str) -> None:
        """Forget one entry."""
        async with self.told("write"):
            await self._redis.unlink(self._entry(key))

    async def remove(self, which: Selection) -> tuple[int, int]:
        """Forget these entries; return how many there were, and the total counter after it.

        The counters move first, so that what is executed meanwhile is not kept behind our back.
        """
        gone, total = await self._forget([], (TOTAL, *which.slots()))
        async with self.told("read"):
            keys = await self._keys(which)
        if which.version is not None or (which.tags is not None and which.tool is not None):
            keys = [self._entry(entry.key) for entry in await self.entries(which)]
        for page in (keys[i : i + _PAGE] for i in range(0, len(keys), _PAGE)):
            gone += (await self._forget(page, ()))[0]
        return gone, total

    async def prune(self, now: float) -> int:
        """Take keys of ended entries out of the sets; return how many entries those were. Redis ends entries itself."""
        ended: set[str] = set()
        async with self.told("write"):
            async for name in self._redis.scan_iter(match=f"{self._prefix}:of:*", count=_PAGE):
                listed = _text(name)
                dead = [key for key in await self._members([listed]) if not await self._redis.exists(key)]
                if dead:
                    await self._redis.srem(listed, *dead)
                ended.update(dead)
        return len(ended)

    async def close(self) -> None:
        """Close all connections."""
        async with self.told("close"):
            await self._redis.aclose(close_connection_pool=True)

    @asynccontextmanager
    async def told(self, doing: str) -> AsyncIterator[Redis]:
        """Give the client out and turn what it raises into a `StoreError`; let no cancellation get lost.

        The client sends within `asyncio.wait_for`, which on Python 3.11 takes a cancellation for a result that came at
        the same moment (python/cpython#86296).
        """
        task = asyncio.current_task()
        cancelled = 0 if task is None else task.cancelling()
        try:
            yield self._redis
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreError(f"the memo in Redis cannot {doing}: {error}") from error
        if task is not None and task.cancelling() > cancelled:
            raise asyncio.CancelledError

    def lease(self, key: str) -> str:
        """Return the name of a call's lease."""
        return f"{self._prefix}:lease:{key}"

    async def _forget(self, keys: Sequence[str], slots: Sequence[int]) -> tuple[int, int]:
        async with self.told("write"):
            answer = await self._run(_REMOVE, [self._counters(), *keys], slots)
        gone, total = cast("list[int | None]", answer)
        return int(gone or 0), int(total or 0)

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[object]) -> object:
        run = cast("_Script", self._redis.register_script(script))
        return await run(keys=list(keys), args=list(arguments))

    async def _keys(self, which: Selection) -> list[str]:
        """Return the keys that may be meant: all of them are where nothing but tenant, tool or tags is given."""
        if which.tenant is None:
            if which == EVERYTHING:
                return await self._members([self._all()])
            return [self._entry(entry.key) for entry in await self.entries() if which.has(entry)]
        if which.tags is not None:
            return await self._members([self._set("tag", which.tenant, tag) for tag in which.tags])
        if which.tool is not None:
            return await self._members([self._set("tool", which.tenant, which.tool)])
        return await self._members([self._set("tenant", which.tenant)])

    async def _members(self, names: Sequence[str]) -> list[str]:
        if not names:
            return []
        members = await cast("Awaitable[set[object]]", self._redis.sunion(list(names)))
        return sorted(map(_text, members))

    def _entry(self, key: str) -> str:
        return f"{self._prefix}:entry:{key}"

    def _counters(self) -> str:
        return f"{self._prefix}:counters"

    def _all(self) -> str:
        return f"{self._prefix}:of:everybody"

    def _set(self, *name: str) -> str:
        return f"{self._prefix}:of:{json.dumps(name)}"


class _RedisLeases:
    """Leases that end by themselves; each belongs to the token that took it."""

    def __init__(self, store: RedisMemoStore) -> None:
        self._store = store

    async def take(self, key: str, token: str, *, for_s: float) -> bool:
        async with self._store.told("take a lease") as redis:
            return bool(await redis.set(self._store.lease(key), token, nx=True, px=math.ceil(for_s * 1000)))

    async def renew(self, key: str, token: str, *, for_s: float) -> bool:
        async with self._store.told("renew a lease") as redis:
            run = cast("_Script", redis.register_script(_RENEW))
            return bool(await run(keys=[self._store.lease(key)], args=[token, math.ceil(for_s * 1000)]))

    async def release(self, key: str, token: str) -> None:
        async with self._store.told("release a lease") as redis:
            await cast("_Script", redis.register_script(_RELEASE))(keys=[self._store.lease(key)], args=[token])


def _readable(data: object) -> MemoEntry | None:
    try:
        return None if data is None else entry_of_json(_bytes(data))
    except CorruptEntry:
        return None  # whoever asks for its key drops it


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
