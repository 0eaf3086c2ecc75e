"""Kept results of deterministic tools: read-through, one execution for equal calls that overlap, dropping by tag.

A memo never changes an answer. Only results of tools that declare it are kept, only successful ones, under a key of
all that decides them (`memo_keys.py`), and what is kept is given back to the byte. Where results are kept is the
tiers' business; time comes from the clock that is passed in.

What happens to calls that wait for an equal one: its success and its failure are shared with them (the same call would
have failed the same way, and twenty agents should not each wait for the same time-out), but a failure is not kept, so
the next call tries again. When the call that they wait for is cancelled, one of them takes its place.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from agentcache.errors import ToolArgumentsInvalid
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.call_leases import LEASE_S, WAIT_S, turn_among_processes
from agentcache.runtime.despite_cancellation import despite_cancellation
from agentcache.runtime.memo_declaration import MemoRules, tags_of
from agentcache.runtime.memo_dependencies import dependencies_of
from agentcache.runtime.memo_keys import NOWHERE, BoundCall, MemoScope, bound
from agentcache.runtime.memo_tiers import MemoTiers, log
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.tools import Tool
from agentcache.stores.memo_entries import MemoEntry, MemoStore, Selection, content_of_json, lasting, slots_of

Source: TypeAlias = Literal["executed", "memory", "sqlite", "redis", "shared"]
"""Where the answer to a call came from; `shared`: together with an equal call under way, here or in another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A result and where it came from. saved_s: seconds that the execution took which this call was spared."""

    result: ToolResult
    source: Source = "executed"
    saved_s: float = 0.0

    @property
    def hit(self) -> bool:
        """Whether the result came without executing the tool for this call."""
        return self.source != "executed"


@dataclass(slots=True, kw_only=True)
class MemoCounts:
    """How calls of a tool that may be kept were answered in this process.

    calls: all of them. memory, sqlite, redis: from a kept result of that tier. shared: together with an equal call
    under way. misses: executed. bytes: of the results that came without an execution, as they are stored. saved_s: the
    seconds that the executions took which were spared. degraded: calls that had to go without a tier that failed.
    """

    calls: int = 0
    memory: int = 0
    sqlite: int = 0
    redis: int = 0
    shared: int = 0
    misses: int = 0
    bytes: int = 0
    saved_s: float = 0.0
    degraded: int = 0

    @property
    def hits(self) -> int:
        """Calls answered from a kept result, of whatever tier."""
        return self.memory + self.sqlite + self.redis


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """An execution that equal calls may wait for. `stale`: what it will find was dropped while it was under way."""

    tool: str
    version: str
    tags: tuple[str, ...]
    done: asyncio.Future[tuple[ToolResult, int, float]]
    stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A call that a kept result may answer.

    share: whether it may come from another process. failures: of the shared store, when the call began.
    """

    bound: BoundCall
    rules: MemoRules
    key: str
    share: bool
    dependencies: JsonValue
    tags: tuple[str, ...]
    failures: int
    counts: MemoCounts
    call: Callable[[], Awaitable[ToolResult]]


@dataclass(slots=True, kw_only=True)
class ToolMemo:
    """Gives kept results out and keeps new ones. May be shared by all agents and runs of one event loop.

    clock: Unix seconds. environment: what `Memo.env` reads.
    shared: a store beyond this process (`stores.memo_opening.open_memo`), closed with the memo. tenant: whose results
    these are; one tenant never sees another's. lease_s, wait_s: `call_leases.py`.
    """

    clock: Callable[[], float]
    shared: MemoStore | None = None
    tenant: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    lease_s: float = LEASE_S
    wait_s: float = WAIT_S
    tiers: MemoTiers = field(init=False)
    _under_way: dict[str, _Flight] = field(default_factory=dict, init=False)
    _counts: dict[str, MemoCounts] = field(default_factory=dict, init=False)
    _told: set[tuple[str, str]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.tiers = MemoTiers(clock=self.clock, shared=self.shared)

    async def get_or_call(
        self,
        tool: Tool,
        arguments: JsonObject,
        call: Callable[[], Awaitable[ToolResult]],
        *,
        scope: MemoScope = NOWHERE,
    ) -> Remembered:
        """Return the kept result of this tool for these arguments, or `call` and keep what it returns.

        scope: the run and conversation of the call, where the memo is bound to one.

        Calls of a tool without a memo, and those whose arguments fit no key, go straight through; what a call with side
        effects makes old is dropped when it ends, however it ends.
        """
        if tool.memo_rules is None:
            return Remembered(result=await self._acted(tool, arguments, call))
        counts = self._counts.setdefault(tool.name, MemoCounts())
        counts.calls += 1
        asked = await self._asked(tool, tool.memo_rules, arguments, scope, counts, call)
        if asked is None:
            counts.misses += 1
            return Remembered(result=await call())
        while True:
            found = await self.tiers.get(asked.key, share=asked.share)
            if found is not None:
                entry, tier = found
                setattr(counts, tier, getattr(counts, tier) + 1)
                return _spared(counts, tier, ToolResult(content=entry.content), entry.size, entry.took_s)
            other = self._under_way.get(asked.key)
            if other is None:
                return await self._led(asked)
            await asyncio.wait([other.done])  # unlike awaiting it, this tells our own cancellation from the other's
            if not other.done.cancelled():
                counts.shared += 1
                return _spared(counts, "shared", *other.done.result())

    async def invalidate(self, *tags: str) -> int:
        """Forget what carries any of these tags and return how many results that were.

        What is being executed meanwhile is answered to those who wait for it already, but not kept. Other processes
        see it within a second; see `memo_tiers.py` for a store that cannot be reached.
        """
        return await self._remove(Selection(tenant=self.tenant, tags=tags))

    async def invalidate_tool(self, name: str, *, version: str | None = None) -> int:
        """Forget what the tool `name` (or one version of it) answered and return how many results that were."""
        return await self._remove(Selection(tenant=self.tenant, tool=name, version=version))

    async def clear(self) -> int:
        """Forget everything of this tenant and return how many results that was."""
        return await self._remove(Selection(tenant=self.tenant))

    async def entries(self) -> list[MemoEntry]:
        """Return what is kept for this tenant and not expired, oldest first."""
        now = self.clock()
        found = await self.tiers.entries(Selection(tenant=self.tenant))
        return [entry for entry in found if entry.is_fresh(now)]

    async def prune(self) -> int:
        """Forget what has expired and return how many results that were."""
        return await self.tiers.prune(self.clock())

    async def close(self) -> None:
        """Let go of the shared store."""
        await self.tiers.close()

    def statistics(self) -> Mapping[str, MemoCounts]:
        """Return the counts of this process by tool name."""
        return {name: replace(self._counts[name]) for name in sorted(self._counts)}

    async def _asked(
        self,
        tool: Tool,
        rules: MemoRules,
        arguments: JsonObject,
        scope: MemoScope,
        counts: MemoCounts,
        call: Callable[[], Awaitable[ToolResult]],
    ) -> _Asked | None:
        try:
            known = bound(tool, arguments)
            if known is None:
                return None
            dependencies = await dependencies_of(known, self.environment) if rules.depends else None
            key = known.key(tenant=self.tenant, scope=scope, dependencies=dependencies)
            tags = tags_of(rules.tags, known.arguments)
        except Exception as error:  # noqa: BLE001  # the author's validators and functions; the call itself goes on
            self._tell_once(tool.name, f"no key can be made ({type(error).__name__}: {error}), so it is called")
            return None
        share = rules.scope == "shared" or (rules.scope == "conversation" and scope.conversation is not None)
        return _Asked(
            bound=known,
            rules=rules,
            key=key,
            share=share,
            dependencies=dependencies,
            tags=tags,
            failures=self.tiers.failures,
            counts=counts,
            call=call,
        )

    async def _led(self, asked: _Asked) -> Remembered:
        """Make the call that equal ones wait for, or take what another process finds; waiters get it either way."""
        tool = asked.bound.tool
        done: asyncio.Future[tuple[ToolResult, int, float]] = asyncio.get_running_loop().create_future()
        flight = _Flight(tool=tool.name, version=tool.version or "", tags=asked.tags, done=done)
        self._under_way[asked.key] = flight
        try:
            answer, size = await self._among_processes(asked, flight)
        except BaseException:
            done.cancel()
            raise
        finally:
            if self._under_way.get(asked.key) is flight:
                del self._under_way[asked.key]
        done.set_result((answer.result, size, answer.saved_s))
        if answer.hit:
            asked.counts.shared += 1
            return _spared(asked.counts, "shared", answer.result, size, answer.saved_s)
        asked.counts.misses += 1
        return replace(answer, saved_s=0.0)

    async def _among_processes(self, asked: _Asked, flight: _Flight) -> tuple[Remembered, int]:
        leases = self.tiers.leases if asked.share else None
        if leases is None:
            return await self._executed(asked, flight)
        turn = turn_among_processes(
            leases,
            asked.key,
            uuid.uuid4().hex,
            lambda: self.tiers.get_shared(asked.key),
            failed=self.tiers.failed,
            lease_s=self.lease_s,
            wait_s=asked.bound.tool.timeout_s or self.wait_s,
        )
        async with turn as mine:
            if mine.found is None:
                return await self._executed(asked, flight)
            entry, _ = mine.found
            return Remembered(
                result=ToolResult(content=entry.content), source="shared", saved_s=entry.took_s
            ), entry.size

    async def _executed(self, asked: _Asked, flight: _Flight) -> tuple[Remembered, int]:
        """Execute the call and keep what may be kept; `saved_s` here is what it took, for those who wait."""
        slots = slots_of(tenant=self.tenant, tool=flight.tool, tags=flight.tags)
        start = await self.tiers.start(slots, share=asked.share)
        began = self.clock()
        result = await asked.call()
        ended = self.clock()
        took_s = max(ended - began, 0.0)
        data = None if result.is_error else self._worth_keeping(asked, result)
        if data is not None and not flight.stale and await self._still_depends(asked):
            entry = _entry(asked, flight, self.tenant, result, data, ended, took_s)
            await self.tiers.put(entry, start, still=lambda: not flight.stale)
        if asked.share and (self.tiers.away or self.tiers.failures > asked.failures):
            asked.counts.degraded += 1
        return Remembered(result=result, saved_s=took_s), 0 if data is None else len(data)

    def _worth_keeping(self, asked: _Asked, result: ToolResult) -> bytes | None:
        tool, most = asked.bound.tool.name, asked.rules.max_bytes
        data = lasting(result.content)
        if data is None:
            self._tell_once(tool, "a result would not come back as the same bytes, so it is not kept")
        elif len(data) > most:
            self._tell_once(tool, f"a result has {len(data):,} bytes, more than max_bytes={most:,}, so it is not kept")
            return None
        return data

    async def _still_depends(self, asked: _Asked) -> bool:
        if not asked.rules.depends:
            return True
        try:
            return await dependencies_of(asked.bound, self.environment) == asked.dependencies
        except Exception as error:  # noqa: BLE001  # the author's functions; the answer is there and goes on
            self._tell_once(asked.bound.tool.name, f"what it depends on cannot be told any more: {error}")
            return False

    async def _acted(self, tool: Tool, arguments: JsonObject, call: Callable[[], Awaitable[ToolResult]]) -> ToolResult:
        if not tool.drops_results:
            return await call()
        try:
            return await call()
        finally:
            await despite_cancellation(self._drop_after(tool, arguments))

    async def _drop_after(self, tool: Tool, arguments: JsonObject) -> None:
        try:
            tags = tool.dropped_by(arguments)
        except ToolArgumentsInvalid:
            return  # the function was not reached
        except Exception as error:  # noqa: BLE001  # nobody knows which results are old now
            log.warning("tool %s cannot say what it invalidates, so everything is dropped: %s", tool.name, error)
            await self.clear()
            return
        await self.invalidate(*tags)

    async def _remove(self, which: Selection) -> int:
        for key, flight in list(self._under_way.items()):
            if (
                which.tool in (None, flight.tool)
                and which.version in (None, flight.version)
                and (which.tags is None or not set(which.tags).isdisjoint(flight.tags))
            ):
                flight.stale = True
                del self._under_way[key]
        return await self.tiers.remove(which)

    def _tell_once(self, tool: str, what: str) -> None:
        if (tool, what[:30]) not in self._told:
            self._told.add((tool, what[:30]))
            log.warning("tool %s: %s", tool, what)


def _spared(counts: MemoCounts, source: Source, result: ToolResult, size: int, took_s: float) -> Remembered:
    counts.bytes += size
    counts.saved_s += took_s
    return Remembered(result=result, source=source, saved_s=took_s)


def _entry(
    asked: _Asked, flight: _Flight, tenant: str, result: ToolResult, data: bytes, ended: float, took_s: float
) -> MemoEntry:
    ttl_s = asked.rules.ttl_s
    return MemoEntry(
        key=asked.key,
        tool=flight.tool,
        version=flight.version,
        tenant=tenant,
        arguments=asked.bound.shown(),
        content=result.content if isinstance(result.content, str) else content_of_json(data),
        size=len(data),
        tags=flight.tags,
        stored_at=ended,
        expires_at=None if ttl_s is None else ended + ttl_s,
        took_s=took_s,
    )
