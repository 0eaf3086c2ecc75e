"""Kept results of deterministic tools: read-through, one execution for equal calls that overlap, invalidation by tag.

A memo never changes an answer. Only results of tools that declare `deterministic=True` are kept, only successful ones,
under a key of the tool's name, definition, code version and arguments, and what is kept is given back to the byte.
Where results are kept is the store's business; time comes from the clock that is passed in.

What happens to calls that wait for an equal one: its success and its failure are shared with them (the same call would
have failed the same way, and twenty agents should not each wait for the same time-out), but a failure is not kept, so
the next call tries again. When the call that they wait for is cancelled, one of them takes its place.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, canonical_json, digest
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.tools import Tool

Source: TypeAlias = Literal["executed", "memory", "sqlite", "redis", "shared"]
"""Where a result came from; `ToolCallRecord.memo_tier` holds the same words. `shared`: an equal call under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoEntry:
    """One kept result. Times are Unix seconds; `expires_at` is `None` for one that stays until it is invalidated.

    `arguments` is their canonical JSON, `took_s` what the execution took, that is what each later hit saves.
    """

    key: str
    tool: str
    arguments: str
    content: str | list[JsonObject]
    tags: tuple[str, ...] = ()
    stored_at: float
    expires_at: float | None = None
    took_s: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether the entry may still be given out."""
        return self.expires_at is None or now < self.expires_at


class MemoStore(Protocol):
    """Keeps entries. Expired ones may stay until they are in the way; the memo looks at `expires_at` itself."""

    async def get(self, key: str) -> MemoEntry | None:
        """Return the entry of this key."""
        ...

    async def put(self, entry: MemoEntry) -> None:
        """Keep an entry in place of the one with the same key."""
        ...

    async def entries(self) -> list[MemoEntry]:
        """Return all entries, oldest first."""
        ...

    async def remove(self, keys: Collection[str]) -> int:
        """Forget the entries of these keys and return how many there were."""
        ...

    async def remove_tagged(self, tags: Collection[str]) -> int:
        """Forget the entries that carry any of these tags and return how many there were."""
        ...

    async def clear(self) -> int:
        """Forget all entries and return how many there were."""
        ...


@dataclass(slots=True, kw_only=True)
class MemoCounts:
    """How often a tool was answered from the memo. `saved_s` sums the time that executions took when they were kept.

    hits: from a kept result; shared: together with an equal call under way; misses: executed.
    """

    hits: int = 0
    shared: int = 0
    misses: int = 0
    saved_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A result and where it came from. `saved_s`: seconds that its execution took, when this call did without."""

    result: ToolResult
    source: Source = "executed"
    saved_s: float = 0.0

    @property
    def hit(self) -> bool:
        """Whether the result came without executing the tool for this call."""
        return self.source != "executed"


@dataclass(slots=True, kw_only=True)
class InMemoryMemoStore:
    """Keeps entries in this process; the least recently used go first when there is no room.

    `max_entries` counts entries, `max_chars` the text of their arguments and results together.
    """

    max_entries: int = 10_000
    max_chars: int = 50_000_000
    _entries: OrderedDict[str, MemoEntry] = field(default_factory=OrderedDict, repr=False)
    _chars: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if self.max_entries < 1 or self.max_chars < 1:
            raise SettingsError("a memo store needs room for one entry and one character at least")

    async def get(self, key: str) -> MemoEntry | None:
        """Return the entry of this key, from now on the most recently used."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    async def put(self, entry: MemoEntry) -> None:
        """Keep an entry; one that is too large for the whole store is not kept."""
        await self.remove([entry.key])
        if _size(entry) > self.max_chars:
            return
        self._entries[entry.key] = entry
        self._chars += _size(entry)
        while len(self._entries) > self.max_entries or self._chars > self.max_chars:
            await self.remove([next(iter(self._entries))])

    async def entries(self) -> list[MemoEntry]:
        """Return all entries, oldest first."""
        return sorted(self._entries.values(), key=lambda entry: entry.stored_at)

    async def remove(self, keys: Collection[str]) -> int:
        """Forget the entries of these keys and return how many there were."""
        gone = [entry for key in keys if (entry := self._entries.pop(key, None)) is not None]
        self._chars -= sum(map(_size, gone))
        return len(gone)

    async def remove_tagged(self, tags: Collection[str]) -> int:
        """Forget the entries that carry any of these tags and return how many there were."""
        return await self.remove([key for key, entry in self._entries.items() if set(tags) & set(entry.tags)])

    async def clear(self) -> int:
        """Forget all entries and return how many there were."""
        return await self.remove(list(self._entries))


class Memo:
    """Gives kept results out and keeps new ones. May be shared by all agents and runs of one event loop."""

    def __init__(self, store: MemoStore | None = None, *, clock: Callable[[], float]) -> None:
        self._store: MemoStore = InMemoryMemoStore() if store is None else store
        self._clock = clock
        self._under_way: dict[str, asyncio.Future[ToolResult]] = {}
        self._counts: dict[str, MemoCounts] = {}
        self._invalidations = 0

    async def get_or_call(
        self, tool: Tool, arguments: JsonObject, call: Callable[[], Awaitable[ToolResult]]
    ) -> Remembered:
        """Return the kept result of this tool for these arguments, or `call` and keep what it returns.

        Calls of a tool that is not deterministic, and arguments that no JSON can carry, go straight through.
        """
        key = key_of(tool, arguments)
        if key is None:
            return Remembered(result=await call())
        counts = self._counts.setdefault(tool.name, MemoCounts())
        while True:
            kept = await self._store.get(key)
            if kept is not None and kept.is_fresh(self._clock()):
                counts.hits += 1
                counts.saved_s += kept.took_s
                return Remembered(result=ToolResult(content=kept.content), source="memory", saved_s=kept.took_s)
            other = self._under_way.get(key)
            if other is None:
                counts.misses += 1
                return Remembered(result=await self._call(key, tool, arguments, call))
            await asyncio.wait([other])  # unlike awaiting it, this tells our own cancellation from the other call's
            if not other.cancelled():
                counts.shared += 1
                return Remembered(result=other.result(), source="shared")

    async def invalidate(self, *tags: str) -> int:
        """Forget what carries any of these tags and return how many results that were.

        What is being executed meanwhile is answered to those who wait for it already, but not kept.
        """
        self._begin_anew()
        return await self._store.remove_tagged(tags)

    async def clear(self) -> int:
        """Forget everything and return how many results that was."""
        self._begin_anew()
        return await self._store.clear()

    async def entries(self) -> list[MemoEntry]:
        """Return what is kept and not expired, oldest first."""
        now = self._clock()
        return [entry for entry in await self._store.entries() if entry.is_fresh(now)]

    def statistics(self) -> Mapping[str, MemoCounts]:
        """Return the counts of this process by tool name."""
        return {name: replace(self._counts[name]) for name in sorted(self._counts)}

    def _begin_anew(self) -> None:
        self._invalidations += 1
        self._under_way.clear()

    async def _call(
        self, key: str, tool: Tool, arguments: JsonObject, call: Callable[[], Awaitable[ToolResult]]
    ) -> ToolResult:
        flight: asyncio.Future[ToolResult] = asyncio.get_running_loop().create_future()
        self._under_way[key] = flight
        invalidations, began = self._invalidations, self._clock()
        try:
            result = await call()
            if not result.is_error and invalidations == self._invalidations:
                await self._store.put(_entry(key, tool, arguments, result, began=began, ended=self._clock()))
                if invalidations != self._invalidations:  # while the store was writing
                    await self._store.remove([key])
        except BaseException:
            flight.cancel()
            raise
        finally:
            if self._under_way.get(key) is flight:
                del self._under_way[key]
        flight.set_result(result)
        return result


def key_of(tool: Tool, arguments: JsonObject) -> str | None:
    """Return the key of a tool's result, or `None` when it is not to be kept.

    Arguments count as the model wrote them, with plain defaults written out and the order of keys ignored. They are
    not compared after validation: what a type hides when it is written (a secret, an excluded field) would make
    different calls look alike.
    """
    if not tool.deterministic:
        return None
    definition = canonical_json(tool.definition())
    try:
        return digest(canonical_json([tool.name, tool.version, definition, tool.with_defaults(arguments)]))
    except ValueError:  # NaN, or half of a surrogate pair: nothing that two calls could share
        return None


def _entry(key: str, tool: Tool, arguments: JsonObject, result: ToolResult, *, began: float, ended: float) -> MemoEntry:
    return MemoEntry(
        key=key,
        tool=tool.name,
        arguments=canonical_json(tool.with_defaults(arguments)),
        content=result.content,
        tags=tool.tags,
        stored_at=ended,
        expires_at=None if tool.ttl_s is None else ended + tool.ttl_s,
        took_s=max(ended - began, 0.0),
    )


def _size(entry: MemoEntry) -> int:
    content = entry.content if isinstance(entry.content, str) else canonical_json(entry.content)
    return len(entry.arguments) + len(content)
