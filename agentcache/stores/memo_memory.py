"""Kept results in this process: the tier that is asked first, bounded in bytes."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from agentcache.errors import SettingsError
from agentcache.stores.memo_entries import EVERYTHING, TOTAL, Leases, MemoEntry, Selection, Tier

DEFAULT_MAX_BYTES = 64_000_000

_OVERHEAD = 1_000
"""About what an entry takes beside its content and arguments."""


@dataclass(slots=True, kw_only=True)
class MemoryMemoStore:
    """Keeps entries until there is no room; then the least recently used go first.

    max_bytes: of results and arguments as they are stored, with a thousand for each entry.
    """

    tier: ClassVar[Tier] = "memory"
    leases: ClassVar[Leases | None] = None
    max_bytes: int = DEFAULT_MAX_BYTES
    _entries: OrderedDict[str, MemoEntry] = field(default_factory=OrderedDict, repr=False)
    _counters: Counter[int] = field(default_factory=Counter, repr=False)
    _bytes: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise SettingsError(f"max_bytes of a memo store is {self.max_bytes}; it needs room for a byte at least")

    async def get(self, key: str) -> MemoEntry | None:
        """Return the entry of this key, from now on the most recently used."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    async def put(self, entry: MemoEntry, *, unless_moved: Sequence[tuple[int, int]] = ()) -> bool:
        """Keep an entry; one that is too large for the whole store is not kept."""
        self._forget([entry.key])
        if _room(entry) > self.max_bytes or any(self._counters[slot] != count for slot, count in unless_moved):
            return False
        self._entries[entry.key] = entry
        self._bytes += _room(entry)
        while self._bytes > self.max_bytes:
            self._forget([next(iter(self._entries))])
        return True

    async def counters(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Return these counters."""
        return tuple(self._counters[slot] for slot in slots)

    async def entries(self, which: Selection = EVERYTHING) -> list[MemoEntry]:
        """Return these entries, oldest first."""
        return sorted(filter(which.has, self._entries.values()), key=lambda entry: entry.stored_at)

    async def drop(self, key: str) -> None:
        """Forget one entry."""
        self._forget([key])

    async def remove(self, which: Selection) -> tuple[int, int]:
        """Forget these entries; return how many there were, and the total counter after it."""
        self._counters.update((TOTAL, *which.slots()))
        return self._forget([entry.key for entry in self._entries.values() if which.has(entry)]), self._counters[TOTAL]

    def forget_all(self) -> None:
        """Forget everything, without a trace in the counters."""
        self._forget(list(self._entries))

    async def prune(self, now: float) -> int:
        """Forget what has expired."""
        return self._forget([entry.key for entry in self._entries.values() if not entry.is_fresh(now)])

    async def close(self) -> None:
        """Keep everything: it goes with the process."""

    def _forget(self, keys: Sequence[str]) -> int:
        gone = [entry for key in keys if (entry := self._entries.pop(key, None)) is not None]
        self._bytes -= sum(map(_room, gone))
        return len(gone)


def _room(entry: MemoEntry) -> int:
    return entry.size + len(entry.arguments) + _OVERHEAD
