"""Memory over a store that others share: asked from the top, filled upwards, dropped everywhere, left out if broken.

A counter of the shared store moves with each removal. It is read once a second at most, and when it moved by more than
what this process did, memory is emptied. So memory gives out what another process dropped for a second at most, and a
hit in memory costs nothing but memory.

A store that fails is left alone for a pause and then tried again. Meanwhile tools are called, and what this process
drops is remembered, to be dropped there before anything is read from it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TypeVar

from agentcache.errors import StoreError
from agentcache.stores.memo_entries import TOTAL, CorruptEntry, Leases, MemoEntry, MemoStore, Selection, Tier
from agentcache.stores.memo_memory import MemoryMemoStore

T = TypeVar("T")

CHECKED_S = 1.0
"""How long memory may give out what another process dropped, in seconds."""

PAUSE_S = 5.0
"""How long a store that failed is left alone, in seconds."""

log = logging.getLogger("agentcache.memo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How things stood when an execution began.

    counters: those of what its result will stand under; `None` where the shared store is not asked.
    """

    emptied: int
    counters: tuple[tuple[int, int], ...] | None = None


@dataclass(slots=True, kw_only=True)
class MemoTiers:
    """The stores of one process. `shared` is `None` where results are kept in memory only."""

    clock: Callable[[], float]
    shared: MemoStore | None = None
    memory: MemoryMemoStore = field(default_factory=MemoryMemoStore)
    pause_s: float = PAUSE_S
    failures: int = 0
    _away_until: float | None = None
    _owed: list[Selection] = field(default_factory=list)
    _seen: int | None = None
    _checked_at: float = float("-inf")
    _emptied: int = 0
    _removals: int = 0

    @property
    def away(self) -> bool:
        """Whether the shared store failed and has not answered since."""
        return self._away_until is not None

    @property
    def leases(self) -> Leases | None:
        """What lets one of several processes execute a call; `None` where nothing does."""
        return None if self.shared is None or self.away else self.shared.leases

    async def get(self, key: str, *, share: bool) -> tuple[MemoEntry, Tier] | None:
        """Return the entry of this key, if it may be given out, and where it was; `share`: ask beyond memory."""
        now = self.clock()
        if self.shared is not None and now - self._checked_at >= CHECKED_S:
            self._checked_at = now
            await self._check()
        entry = await self.memory.get(key)
        if entry is not None and entry.is_fresh(now):
            return entry, "memory"
        return await self.get_shared(key) if share and self.shared is not None else None

    async def get_shared(self, key: str) -> tuple[MemoEntry, Tier] | None:
        """Return the entry of this key from the shared store, and keep it in memory."""
        removals = self._removals
        entry = await self._ask(lambda store: self._got(store, key))
        if entry is None or self.shared is None or not entry.is_fresh(self.clock()):
            return None
        if removals == self._removals:
            await self.memory.put(entry)
        return entry, self.shared.tier

    async def start(self, slots: Collection[int], *, share: bool) -> Start:
        """Return how things stand; ask before the execution of what `put` is to keep."""
        emptied = self._emptied
        if not share or self.shared is None:
            return Start(emptied=emptied)
        wanted = sorted(slots)
        counters = await self._ask(lambda store: store.counters(wanted))
        return Start(emptied=emptied, counters=None if counters is None else tuple(zip(wanted, counters, strict=True)))

    async def put(self, entry: MemoEntry, start: Start, *, still: Callable[[], bool]) -> None:
        """Keep an entry wherever nothing it stands under was dropped since `start`; `still`: what this process says."""
        counters = start.counters
        if counters is not None:
            kept = await self._ask(lambda store: store.put(entry, unless_moved=counters))
            if kept is False:
                return
        if self._emptied == start.emptied and still():
            await self.memory.put(entry)

    async def remove(self, which: Selection) -> int:
        """Forget these entries everywhere; return how many there were in the tier that had the most."""
        self._removals += 1
        gone, _ = await self.memory.remove(which)
        if self.shared is None:
            return gone
        answer = await self._ask(lambda store: store.remove(which))
        if answer is None:
            self._owed.append(which)
            return gone
        below, total = answer
        if self._seen is not None and total == self._seen + 1:
            self._seen = total
        return max(gone, below)

    async def entries(self, which: Selection) -> list[MemoEntry]:
        """Return these entries of all tiers, oldest first."""
        found = {entry.key: entry for entry in await self.memory.entries(which)}
        below = await self._ask(lambda store: store.entries(which)) or []
        found |= {entry.key: entry for entry in below}
        return sorted(found.values(), key=lambda entry: (entry.stored_at, entry.key))

    async def prune(self, now: float) -> int:
        """Forget what has expired everywhere; return how many entries the tier that had the most lost."""
        gone = await self.memory.prune(now)
        return max(gone, await self._ask(lambda store: store.prune(now)) or 0)

    async def close(self) -> None:
        """Let go of the shared store."""
        if self.shared is not None:
            try:
                await self.shared.close()
            except StoreError as error:
                log.warning("the memo was not closed: %s", error)

    def failed(self, error: StoreError) -> None:
        """Leave the shared store alone for a while; it is told once until it answers again."""
        self.failures += 1
        if self._away_until is None:
            log.warning("the memo goes without its %s tier until it answers again: %s", self._tier(), error)
        self._away_until = self.clock() + self.pause_s

    def _tier(self) -> str:
        return "shared" if self.shared is None else self.shared.tier

    async def _got(self, store: MemoStore, key: str) -> MemoEntry | None:
        try:
            return await store.get(key)
        except CorruptEntry as error:
            self.failures += 1
            log.warning("the memo drops an entry of its %s tier: %s", store.tier, error)
            await store.drop(key)
            return None

    async def _check(self) -> None:
        found = await self._ask(lambda store: store.counters((TOTAL,)))
        if found is None:
            return
        if self._seen is not None and found[0] != self._seen:
            self._empty()
        self._seen = found[0]

    def _empty(self) -> None:
        self._emptied += 1
        self._removals += 1
        self.memory.forget_all()

    async def _ask(self, work: Callable[[MemoStore], Awaitable[T]]) -> T | None:
        """Return what the shared store answers; `None` where there is none or it is out of order."""
        store = self.shared
        if store is None:
            return None
        if self._away_until is not None:
            if self.clock() < self._away_until:
                return None
            self._away_until = self.clock() + self.pause_s  # one tries, the others go on without
        try:
            while self._owed:
                owed, self._owed = self._owed, []
                try:
                    for which in owed:
                        await store.remove(which)
                except BaseException:
                    self._owed = [*owed, *self._owed]
                    raise
            answer = await work(store)
        except StoreError as error:
            self.failed(error)
            return None
        if self._away_until is not None:
            self._away_until = None
            log.info("the memo has its %s tier back", self._tier())
            self._empty()  # what others dropped meanwhile is not known here
        return answer
